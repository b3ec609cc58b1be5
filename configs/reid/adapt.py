"""The encoder in the package trained further on own footage, as `kprtrack adapt` does.

Not of the paper. data.root=FOLDER of people, init=FILE with the weights to start from.
"""

_base_ = "./small_kpr.py"

data = dict(options=dict(sets="sets.json"))
schedule = dict(peak=3e-4, floor=1e-5, epochs=4, warmup_epochs=1)
precision = "fp32"
scoring = dict(every_epochs=None, at_end=False)  # `kprtrack adapt` scores before and after
computing = dict(workers=0, save_every_min=0.5)
