"""KPR for Partial-ReID, trained on Market-1501 from SOLIDER weights.

Published: rank-1 90.7, rank-3 94.0. No score of ours yet.
Follows the official code (docs/reference/kpr.md 4.2, 8): part prediction 0.35, occlusion 0.2 and 512
dimensions, where the paper says 0.3, 0.3 and 256.
"""

_base_ = "./solider_market1501.py"

test = dict(name="partial_reid")  # test.root=FOLDER
