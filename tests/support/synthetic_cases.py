"""A small synthetic benchmark for tests: two videos that share people, five frames a second."""

from dataclasses import replace

from eval.synthetic.benchmark import SyntheticConfig

SMALL = SyntheticConfig(sequences=2, frames=40, people=5, width=320, height=240, fps=5.0, seed=3)
# A dozen frames a second are what a tracker needs to follow steps.
SMOOTH = replace(SMALL, frames=100, fps=12.0, seed=2)
TINY = SyntheticConfig(sequences=1, frames=4, people=2, width=96, height=96, fps=2.0)
