"""A small encoder for processors: CUHK03, 600 people to learn from and 143 to be scored on.

Not of the paper. No score of ours yet.
"""

data = dict(name="cuhk03")  # data.root=FOLDER on the command line
model = dict(
    backbone="small_cnn", height=192, width=96, prompt_groups="cck6", fused_width=256, dimensions=128
)
part_groups = "five_v"
augment = dict(occlusion=dict(probability=0.3, phantom_keypoints=False))  # as in the paper
optimiser = dict(name="adamw", weight_decay=5e-4)
schedule = dict(peak=3.5e-4, floor=1e-6, epochs=60, warmup_epochs=5)
computing = dict(workers=1)
