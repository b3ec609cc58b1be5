"""What each part brings on CUHK03, row 1: one feature of the whole crop.

Ours: mAP 59.0, R1 61.0; ambiguous queries 25.3, 22.0 (docs/reid_training.md).
"""

_base_ = "./cuhk03_small.py"

loss = dict(identity=dict(whole=1, foreground=0, joined=0), triplet=dict(whole=1, parts=0), part_prediction=0)
distil = dict(weights=dict(whole=10, foreground=0, joined=0))
scoring = dict(vectors="whole")
prompts = dict(positives=False, negatives=False)
augment = dict(occlusion=dict(probability=0.0))
