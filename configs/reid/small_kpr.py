"""The encoder in the package: as cuhk03_small.py, with more people and the body parts weighed up.

Not of the paper. data.root is what tools/make_small_kpr_data.py put together; begin with cuhk03_start.py
(init=FILE) and give the teacher's features with distil.teacher=FILE. Scores: kprtrack/weights/small-kpr.md.
"""

_base_ = "./cuhk03_small.py"

data = dict(name="folder")
loss = dict(part_prediction=2)  # with the published 0.35 beside a teacher the feet are not learned
schedule = dict(epochs=16)
