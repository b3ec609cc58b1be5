"""A training as a program of its own, to be killed or to be one of several processes.

Arguments: folder of the drawn people, then a JSON object: {"out": ..., "changes": {dotted: value}}.
"""

import json
import sys
from pathlib import Path

import torch

from reid.training.trainer import train
from support.train_cases import drawn_data, tiny_config

if __name__ == "__main__":
    torch.set_num_threads(1)  # another number gives other last bits
    told = json.loads(sys.argv[2])
    train(tiny_config(Path(told["out"]), **told["changes"]), drawn_data(Path(sys.argv[1])), quiet=True)
