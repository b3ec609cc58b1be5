"""A training as a program of its own, to be killed. Arguments: annotations, folder of the run."""

import sys
from pathlib import Path

import torch

from kprtrack.training.detector.trainer import train
from support.detector_cases import tiny_config

if __name__ == "__main__":
    torch.set_num_threads(1)  # another number gives other last bits
    train(tiny_config(Path(sys.argv[1]), Path(sys.argv[2]), computing__save_every_batches=1), quiet=True)
