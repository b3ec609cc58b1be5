"""A training as a program of its own, to be killed. Arguments: annotations, folder of the run."""

import sys
from pathlib import Path

import torch
from detector_cases import tiny_config

from kprtrack.training.detector import train

if __name__ == "__main__":
    torch.set_num_threads(1)  # another number gives other last bits
    train(tiny_config(Path(sys.argv[1]), Path(sys.argv[2]), computing__save_every_batches=1), quiet=True)
