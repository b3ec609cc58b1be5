"""Ablation, experiment 3 of the paper's table 3: with part head and multi-stage fusion.

Published: mAP 76.1, rank-1 84.8. No score of ours yet.
Experiment 8 is imagenet_occluded_posetrack.py, 9 solider_occluded_posetrack.py.
"""

_base_ = "./imagenet_occluded_posetrack.py"

# The paper takes the prompt tokens out; here all crops have the empty prompt, one constant token.
prompts = dict(positives=False, negatives=False)
augment = dict(occlusion=dict(probability=0.0))
