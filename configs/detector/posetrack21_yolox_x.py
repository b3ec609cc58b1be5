"""YOLOX-x on PoseTrack21, from COCO weights: posetrack21_yolox_m.py with the largest network.

No score of ours yet.
"""

_base_ = "posetrack21_yolox_m.py"
size = "x"
init = "yolox-x-coco"
batch = 8
