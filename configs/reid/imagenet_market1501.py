"""KPR on Market-1501 from ImageNet weights.

Published: mAP 89.6, rank-1 95.9. No score of ours yet.
Follows the official code (docs/reference/kpr.md 4.2, 8): 384 x 128, part prediction 0.35, occlusion 0.05 and
512 dimensions, where the paper says 256 x 128, 0.3, 0.3 and 256.
"""

data = dict(name="market1501")  # data.root=FOLDER on the command line
# Microsoft's Swin-B of ImageNet-22k through timm. The official file swin_base_patch4_window7_224_22k.pth does
# as well: init=FILE.
init = "imagenet"
model = dict(backbone="swin_base", height=384, width=128, prompt_groups="cck6", semantic_weight=0.2)
part_groups = "five_v"
camera_embedding = True  # not in the paper
augment = dict(occlusion=dict(probability=0.05))
precision = "fp16"
