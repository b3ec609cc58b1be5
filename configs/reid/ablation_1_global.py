"""Ablation, experiment 1 of the paper's table 3: no part head, no fusion, no prompts, no occlusions.

Published: mAP 74.7, rank-1 84.8. No score of ours yet.
Experiment 8 is imagenet_occluded_posetrack.py, 9 solider_occluded_posetrack.py.
"""

_base_ = "./imagenet_occluded_posetrack.py"

# One feature of the whole crop, in the losses and in the scores.
loss = dict(identity=dict(whole=1, foreground=0, joined=0), triplet=dict(whole=1, parts=0), part_prediction=0)
scoring = dict(vectors="whole")
model = dict(fusion="last")
# The paper takes the prompt tokens out; here all crops have the empty prompt, one constant token.
prompts = dict(positives=False, negatives=False)
augment = dict(occlusion=dict(probability=0.0))
