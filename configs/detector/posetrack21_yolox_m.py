"""YOLOX-m on PoseTrack21, from COCO weights: of their classes only person is kept.

    kprtrack train configs/detector/posetrack21_yolox_m.py data.train=POSETRACK21/posetrack_data/train \
        data.val=POSETRACK21/posetrack_data/val out=runs/detector

The paper fine-tunes YOLOX and does not give the settings. These are ByteTrack's, scaled down
(docs/reference/detector_and_pose.md 1.9, PoseTrack21); PoseTrack21's ignore regions are neither person nor
background. No score of ours yet.
"""

task = "detector"
size = "m"
init = "yolox-m-coco"
input_px = 640
input_range_px = (480, 800)
batch = 16
schedule = dict(epochs=16, rate_per_image=0.001 / 64, warmup_epochs=1, plain_epochs=4)
precision = "bf16"
scoring = dict(every_epochs=2)
