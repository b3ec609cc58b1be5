"""Packages that only an extra of this project installs, and the error for one that is missing."""

from collections.abc import Collection, Iterable
from importlib.util import find_spec

from kprtrack.core.errors import UserError

# Module -> the extra that installs it, the smallest one where there are several; "" for one of the core,
# which users replace by another build of it.
EXTRA_OF = {
    "accelerate": "train",
    "ezc3d": "c3d",
    "fsspec": "ray",
    "matplotlib": "kinematics",
    "mmcv": "mmpose",
    "mmengine": "mmpose",
    "mmpose": "mmpose",
    "movement": "movement",
    "ndx_pose": "nwb",
    "onnx": "torch",
    "onnxruntime": "",
    "openpyxl": "xlsx",
    "openvino": "openvino",
    "pyarrow": "parquet",
    "pynwb": "nwb",
    "ray": "ray",
    "rerun": "rerun",
    "scipy": "kinematics",
    "shapely": "eval",
    "sleap_io": "sleap",
    "starlette": "review",
    "timm": "torch",
    "torch": "torch",
    "torchvision": "torch",
    "trackeval": "eval",
    "ultralytics": "ultralytics",
    "uvicorn": "review",
}
# Extra -> extras whose packages it has, too, but for trackeval in `train`.
_CONTAINS = {"eval": ("kinematics",), "train": ("eval", "kinematics", "torch")}


def missing_extra(what: str, modules: Collection[str], also: str | None = None) -> UserError:
    """Describe modules that are not installed and how to install them.

    Args:
        what: What needs them, such as "--device cuda".
        modules: The missing modules, keys of EXTRA_OF.
        also: A further extra that it needs.

    Returns:
        The error, to be raised by the caller.

    Examples:
        >>> print(missing_extra("--device cuda", ["torch"]))
        --device cuda needs torch, which is not installed: pip install "kprtrack[torch]".
    """
    extras = {EXTRA_OF[name] for name in modules} | {also or ""}
    names = sorted({name.replace("_", "-") for name in modules})  # as pip calls them
    extras -= {"", *(inner for extra in extras for inner in _CONTAINS.get(extra, ()))}
    install = f'"kprtrack[{",".join(sorted(extras))}]"' if extras else " ".join(names)
    are = "is" if len(names) == 1 else "are"
    listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return UserError(f"{what} needs {listed}, which {are} not installed: pip install {install}.")


def require(what: str, *modules: str) -> None:
    """Check that modules of an extra are installed, without importing them.

    Args:
        what: What needs them.
        modules: Keys of EXTRA_OF.

    Raises:
        UserError: One is missing; the message says how to install it.
    """
    if missing := missing_modules(modules):
        raise missing_extra(what, missing)


def missing_modules(modules: Iterable[str]) -> list[str]:
    """Return the modules that are not installed."""
    return [name for name in modules if not _installed(name)]


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:  # an import hook hides it
        return False
    except ValueError:  # a module that a test or a user has replaced
        return True
