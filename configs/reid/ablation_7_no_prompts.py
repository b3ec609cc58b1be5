"""Ablation, experiment 7 of the paper's table 3: all but the prompts.

Published: mAP 76.7, rank-1 86.1. No score of ours yet.
Experiment 8 is imagenet_occluded_posetrack.py, 9 solider_occluded_posetrack.py.
"""

_base_ = "./imagenet_occluded_posetrack.py"

# The paper takes the prompt tokens out; here all crops have the empty prompt, one constant token.
prompts = dict(positives=False, negatives=False)
