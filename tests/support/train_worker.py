"""A training as a program of its own: to be killed, or one of several processes.

Argument: a JSON object {"task": "reid", "data": ..., "out": ..., "changes": {dotted: value}}.
"""

import json
import sys
from pathlib import Path

import torch

from kprtrack.training.tasks import train, train_reid
from support import detector_cases, pose_cases, train_cases

if __name__ == "__main__":
    torch.set_num_threads(1)  # another number gives other last bits
    words = json.loads(sys.argv[1])
    data, out, changes = Path(words["data"]), Path(words["out"]), words["changes"]
    if words["task"] == "reid":
        train_reid(train_cases.tiny_config(out, **changes), train_cases.drawn_data(data), quiet=True)
    elif words["task"] == "detector":
        train(detector_cases.tiny_config(data, out, **changes), quiet=True)
    else:
        train(pose_cases.tiny_config(data, out, **changes), quiet=True)
