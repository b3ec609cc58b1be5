"""Ablation, experiment 5 of the paper's table 3: as 4, with negative prompts.

Published: mAP 80.7, rank-1 90.0. No score of ours yet.
Experiment 8 is imagenet_occluded_posetrack.py, 9 solider_occluded_posetrack.py.
"""

_base_ = "./imagenet_occluded_posetrack.py"

augment = dict(occlusion=dict(probability=0.0))
