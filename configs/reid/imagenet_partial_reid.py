"""KPR for Partial-ReID, trained on Market-1501 from ImageNet weights.

Published: rank-1 86.0, rank-3 90.0. No score of ours yet.
Follows the official code (docs/reference/kpr.md 4.2, 8): Swin V2 with windows of 16, where the paper says
Swin; part prediction 0.35, occlusion 0.05 and 512 dimensions, where it says 0.3, 0.3 and 256.
"""

_base_ = "./imagenet_occluded_reid.py"

test = dict(name="partial_reid")  # test.root=FOLDER
