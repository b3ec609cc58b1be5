"""KPR on Occluded-Duke from SOLIDER weights.

Published: mAP 75.1, rank-1 84.3. No score of ours yet.
Follows the official code (spec kpr.md 4.2, 8): the prompts are frozen for 10 epochs, where the paper says 20;
part prediction 0.35, occlusion 0.2 and 512 dimensions, where it says 0.3, 0.3 and 256.
"""

data = dict(name="occluded_duke", options=dict(only_posed=True))  # data.root=FOLDER on the command line
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
camera_embedding = True  # not in the paper
schedule = dict(peak=2e-4)
frozen_prompt_epochs = 10
precision = "fp16"
