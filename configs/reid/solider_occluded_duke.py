"""KPR on Occluded-Duke from SOLIDER weights.

Published: mAP 75.1, rank-1 84.3. No score of ours yet.
Follows the official code (docs/reference/kpr.md 4.2, 8): the prompts are frozen for 10 epochs, where the
paper says 20; part prediction 0.35, occlusion 0.2 and 512 dimensions, where it says 0.3, 0.3 and 256.
"""

_base_ = "./solider_occluded_posetrack.py"

data = dict(name="occluded_duke", options=dict(only_posed=True))  # data.root=FOLDER on the command line
camera_embedding = True  # not in the paper
frozen_prompt_epochs = 10
