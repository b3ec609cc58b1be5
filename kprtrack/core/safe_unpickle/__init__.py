"""Reads files of torch.save without torch and without running what is in them.

A pickle names functions and the unpickler calls them: that is how a checkpoint can run a program, and a few
hundred bytes of it can make Python's own unpickler crash or take gigabytes. Here the operations are carried
out one by one within limits, and names stand for stubs.
"""

from kprtrack.core.safe_unpickle.files import ZIP_MAGIC, unpickle_legacy, unpickle_zip
from kprtrack.core.safe_unpickle.stubs import Inert, NumpyArray, NumpyType, bfloat16_to_float32, shown

__all__ = [
    "ZIP_MAGIC",
    "Inert",
    "NumpyArray",
    "NumpyType",
    "bfloat16_to_float32",
    "shown",
    "unpickle_legacy",
    "unpickle_zip",
]
