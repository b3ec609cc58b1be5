"""KPR for Occluded-ReID, trained on Market-1501 from SOLIDER weights.

Published: mAP 82.6, rank-1 84.8. No score of ours yet.
Follows the official code (docs/reference/kpr.md 4.2, 8): part prediction 0.35, occlusion 0.2 and 512
dimensions, where the paper says 0.3, 0.3 and 256.
"""

_base_ = "./solider_market1501.py"

test = dict(name="occluded_reid")  # test.root=FOLDER
