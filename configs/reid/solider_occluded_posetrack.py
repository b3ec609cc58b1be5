"""KPR on Occluded-PoseTrack-ReID from SOLIDER weights.

Published: mAP 81.2, rank-1 90.6. No score of ours yet.
Follows the official code (docs/reference/kpr.md 4.2, 8): part prediction 0.35, occlusion 0.2 and 512
dimensions, where the paper says 0.3, 0.3 and 256.
"""

data = dict(name="occluded_posetrack")  # data.root=FOLDER on the command line
init = "pretrained_models/SOLIDER/swin_base_reid.pth"  # SOLIDER's Swin-B; init=FILE if it is elsewhere
model = dict(
    backbone="swin_base",
    height=384,
    prompt_groups="cck8",
    semantic_weight=0.2,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)
part_groups = "eight"
schedule = dict(peak=2e-4)
frozen_prompt_epochs = 20
precision = "fp16"
