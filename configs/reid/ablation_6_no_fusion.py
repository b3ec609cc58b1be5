"""Ablation, experiment 6 of the paper's table 3: all but the multi-stage fusion.

Published: mAP 78.9, rank-1 87.2. No score of ours yet.
Experiment 8 is imagenet_occluded_posetrack.py, 9 solider_occluded_posetrack.py.
Of this row the ticks are illegible in our copy of the paper: the reading that fits its text.
"""

_base_ = "./imagenet_occluded_posetrack.py"

model = dict(fusion="last")
