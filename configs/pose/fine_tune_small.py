"""The package's pose network, fine-tuned on annotated people.

Set the images by data.train=FILE.json (or a list of files with shares) and data.val=FILE.json.
"""

task = "pose"
network = "lite-hrnet"
lite_hrnet = dict(input_height=192, input_width=128)  # 256 and 192 for small-pose-accurate
init = "small-pose"
augment = dict(
    half_body=0.1,
    scale_share=0.25,
    rotate_deg=30.0,
    colour=0.5,
    shrink=0.2,
    camera=dict(blur=0.1, noise=0.1, grey=0.05, jpeg=0.15),
    erase=0.1,
    paste=0.15,
)
labels = dict(least_confidence=0.3, absent_weight=0.1, least_keypoints=5)
batch = 32
optimiser = dict(weight_decay=1e-3, clip_gradient=5.0)
schedule = dict(peak=1e-4, epochs=10, warmup_epochs=0.5)
ema_decay = 0.998
ema_ramp = 50
scoring = dict(every_epochs=2)
