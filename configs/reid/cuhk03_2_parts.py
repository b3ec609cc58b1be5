"""What each part brings on CUHK03, row 2: with body parts.

Ours: mAP 65.1, R1 68.4; ambiguous queries 29.2, 27.2 (docs/reid_training.md).
"""

_base_ = "./cuhk03_small.py"

prompts = dict(positives=False, negatives=False)
augment = dict(occlusion=dict(probability=0.0))
