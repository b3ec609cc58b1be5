"""A small encoder for processors: CUHK03, 600 people to learn from and 143 to be scored on.

Not of the paper. Begins with cuhk03_start.py (init=FILE) and learns on from the same teacher
(distil.teacher=FILE). Ours: mAP 66.3, R1 69.1; ambiguous queries 50.2, 48.4 (docs/reid_training.md).
"""

data = dict(name="cuhk03")  # data.root=FOLDER on the command line
model = dict(
    backbone="small_cnn", height=192, width=96, prompt_groups="cck6", fused_width=256, dimensions=128
)
part_groups = "five_v"
augment = dict(
    erase_probability=0.3,
    occlusion=dict(probability=0.3, phantom_keypoints=False),  # as in the paper
)
optimiser = dict(name="adamw", weight_decay=1e-2)
schedule = dict(peak=1e-3, floor=1e-5, epochs=12, warmup_epochs=1)
precision = "bf16"
scoring = dict(every_epochs=4)
computing = dict(workers=1)
