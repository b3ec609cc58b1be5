"""The small pose network, from random weights, on labelled people and on those a teacher has labelled.

Set the images by data.train=FILE.json (or a list of files with shares) and data.val=FILE.json.
"""

task = "pose"
network = "small"
augment = dict(
    scale_share=0.35,
    rotate_deg=45.0,
    colour=0.8,
    shrink=0.4,
    camera=dict(blur=0.2, noise=0.2, grey=0.1, jpeg=0.2),
    erase=0.2,
    paste=0.3,
)
labels = dict(least_confidence=0.3, absent_weight=0.3, least_keypoints=5)
batch = 64
schedule = dict(peak=2e-3, epochs=60, warmup_epochs=1.0)
ema_decay = 0.999
precision = "bf16"
scoring = dict(every_epochs=5)
