"""A start for the small encoder on CUHK03: what another encoder knows, in one feature of the whole crop.

Not of the paper, which begins with weights of ImageNet or of SOLIDER; for small_cnn there are none. Give the
teacher's features with distil.teacher=FILE. Ours: mAP 53.0, R1 56.5 (docs/reid_training.md).
"""

_base_ = "./cuhk03_1_global.py"

schedule = dict(epochs=30, warmup_epochs=2)
