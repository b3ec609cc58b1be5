"""YOLOX-nano for people alone, from random weights, on labels made by hand and on boxes of a teacher.

    kprtrack train configs/detector/small.py data.train=train.json data.val=val.json out=runs/detector

distil.teacher=FILE (a YOLOX of any size, distil.teacher_size) also teaches every cell of every example what
a trained detector sees there, which takes a third more time and is worth many epochs at the beginning.

Written for processors: small images, little rotation, degraded images.
"""

task = "detector"
size = "nano"
input_px = 416
input_range_px = (320, 512)
batch = 32
# A teacher's scores of clearly visible people lie between 0.6 and 0.9.
distil = dict(full_score=0.6, ignore_below=0.3)
augment = dict(
    mosaic=0.5,
    mixup=0.0,
    scale=(0.5, 1.5),
    camera=dict(coarse=0.15, blur=0.1, noise=0.1, grey=0.05, jpeg=0.15),
)
schedule = dict(epochs=60, rate_per_image=0.01 / 64, warmup_epochs=2, plain_epochs=8)
ema_decay = 0.999  # a short training: 0.9998 would still remember its beginning
precision = "bf16"
scoring = dict(every_epochs=5)
