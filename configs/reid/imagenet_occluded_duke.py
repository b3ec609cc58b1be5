"""KPR on Occluded-Duke from ImageNet weights.

Published: mAP 67.1, rank-1 79.8. No score of ours yet.
Follows the official code (docs/reference/kpr.md 4.2, 8): Swin V2 with windows of 16, where the paper says
Swin; part prediction 0.35, occlusion 0.2 and 512 dimensions, where it says 0.3, 0.3 and 256.
"""

data = dict(name="occluded_duke", options=dict(only_posed=True))  # data.root=FOLDER on the command line
init = "imagenet"
model = dict(backbone="swinv2_base", prompt_groups="cck8")
part_groups = "eight"
camera_embedding = True  # not in the paper
precision = "fp16"
