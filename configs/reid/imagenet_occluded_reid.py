"""KPR for Occluded-ReID, trained on Market-1501 from ImageNet weights.

Published: mAP 79.1, rank-1 85.4. No score of ours yet.
Follows the official code (docs/reference/kpr.md 4.2, 8): Swin V2 with windows of 16, where the paper says
Swin; part prediction 0.35, occlusion 0.05 and 512 dimensions, where it says 0.3, 0.3 and 256.
"""

data = dict(name="market1501")  # data.root=FOLDER on the command line
test = dict(name="occluded_reid")  # test.root=FOLDER
init = "imagenet"
model = dict(backbone="swinv2_base", prompt_groups="cck6")
part_groups = "five_v"
camera_embedding = True  # not in the paper; queries count as camera 0, the gallery as 1
augment = dict(occlusion=dict(probability=0.05))
precision = "fp16"
