"""HRNet-W32 on PoseTrack21, for the paper's tracker: mmpose's settings for PoseTrack18, from COCO weights.

    kprtrack train configs/pose/posetrack21_hrnet_w32.py data.train=POSETRACK21/posetrack_data/train \
        data.val=POSETRACK21/posetrack_data/val init=WEIGHTS.pth out=runs/hrnet

The paper gives no settings for HRNet (supplementary, "Implementation details"); mmpose trains PoseTrack18 for
20 epochs with Adam and a batch of 512 people (docs/reference/detector_and_pose.md 2.7). Its 500 batches of
warm-up are about three epochs. init: COCO weights of mmpose (also by name, hrnet-w32-coco-256) or those of
ImageNet.
"""

task = "pose"
network = "hrnet"
hrnet = dict(width=32, input_height=256, input_width=192, decode="msra", skeleton="posetrack18")
batch = 512
optimiser = dict(weight_decay=0.0)
schedule = dict(peak=5e-4, epochs=20, warmup_epochs=3.0, drops=(10.0, 15.0))
ema_decay = None
precision = "bf16"
scoring = dict(every_epochs=5)
