"""YOLOX-nano fine-tuned for people alone from COCO weights; the first step of the detector in the package.

    python tools/restore_norms.py --weights yolox_nano.pth --annotations train.json --images images \
        --out norms.pth
    kprtrack train detector/fine_tune_nano init=norms.pth data.train=train.json data.val=val.json out=RUN
    python tools/mix_weights.py detector --origin norms.pth --tuned RUN/weights.safetensors --share 0.5 \
        --out mixed.safetensors

Published weights may have batch norms folded into the convolutions; tools/restore_norms.py restores them. The
learning rate is low, and mixing goes half of the way back: COCO has more people than a small data set.
"""

task = "detector"
size = "nano"
input_px = 640
input_range_px = (352, 544)
batch = 16
freeze_norms = True
freeze_stem = True
joint_score = True
# Of a teacher's scores: above 0.7 there is nearly always a person, below 0.3 there may be one.
distil = dict(full_score=0.7, ignore_below=0.3)
augment = dict(
    mosaic=0.4,
    mixup=0.0,
    rotate_deg=0.0,  # boxes of rotated boxes are too large
    shear_deg=0.0,
    scale=(0.6, 1.6),
    camera=dict(coarse=0.05, blur=0.05, noise=0.05, grey=0.05, jpeg=0.1),
)
schedule = dict(epochs=3, rate_per_image=1.25e-5, warmup_epochs=1, plain_epochs=1)
ema_decay = 0.99
ema_ramp = 50
precision = "bf16"
optimiser = dict(name="adamw", weight_decay=1e-4, convolution_rate=0.15, clip_gradient=20.0)
