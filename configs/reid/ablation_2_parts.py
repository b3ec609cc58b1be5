"""Ablation, experiment 2 of the paper's table 3: with the part head.

Published: mAP 72.2, rank-1 83.3. No score of ours yet.
Experiment 8 is imagenet_occluded_posetrack.py, 9 solider_occluded_posetrack.py.
"""

_base_ = "./imagenet_occluded_posetrack.py"

model = dict(fusion="last")
# The paper takes the prompt tokens out; here all crops have the empty prompt, one constant token.
prompts = dict(positives=False, negatives=False)
augment = dict(occlusion=dict(probability=0.0))
