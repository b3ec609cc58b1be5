"""KPR on Market-1501 from SOLIDER weights.

Published: mAP 93.2, rank-1 96.6. No score of ours yet.
Follows the official code (docs/reference/kpr.md 4.2, 8): part prediction 0.35, occlusion 0.2 and 512
dimensions, where the paper says 0.3, 0.3 and 256. With the official training file others reached a mAP of 76
only (its issue 16, unresolved); the one known difference to the published weights is the camera embedding,
left out here.
"""

data = dict(name="market1501")  # data.root=FOLDER on the command line
init = "pretrained_models/SOLIDER/swin_base_reid.pth"  # SOLIDER's Swin-B; init=FILE if it is elsewhere
model = dict(
    backbone="swin_base",
    height=384,
    prompt_groups="cck6",
    semantic_weight=0.2,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)
part_groups = "five_v"
# The official training file has one, the published weights have none.
camera_embedding = False
schedule = dict(peak=2e-4)
frozen_prompt_epochs = 20
precision = "fp16"
