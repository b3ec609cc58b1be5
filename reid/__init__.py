"""Part-based ReID with KPR: the model, its prompts, training and evaluation."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reid.prompts import decode_rle as decode_rle
    from reid.prompts import prompts_from_clicks as prompts_from_clicks
    from reid.prompts import prompts_from_mask as prompts_from_mask
    from reid.prompts import read_mask as read_mask

# Imported at first use, so that `import reid` loads neither numpy nor OpenCV.
__all__ = ["decode_rle", "prompts_from_clicks", "prompts_from_mask", "read_mask"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'reid' has no attribute '{name}'")
    return getattr(import_module("reid.prompts"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
