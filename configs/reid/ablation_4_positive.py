"""Ablation, experiment 4 of the paper's table 3: as 3, with positive prompts.

Published: mAP 80.4, rank-1 88.8. No score of ours yet.
Experiment 8 is imagenet_occluded_posetrack.py, 9 solider_occluded_posetrack.py.
"""

_base_ = "./imagenet_occluded_posetrack.py"

prompts = dict(negatives=False)
augment = dict(occlusion=dict(probability=0.0))
