"""Networks that were converted to ONNX before, kept in the folder `converted` beside the model store."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import kprtrack
from kprtrack.core.atomic_file import write_file
from kprtrack.core.errors import OutputError, UserError
from kprtrack.hub.cache import sha256_of, store_folder
from kprtrack.inference.graphs import architecture_text

# Source files that define the networks: what they compute is part of the key of a conversion.
_CODE = ("kprtrack/detectors", "kprtrack/inference", "kprtrack/poses", "kprtrack/reid_encoders", "reid/model")
_DIGEST_BYTES = 32  # in front of a stored model: the sha256 of its content


class ConversionError(Exception):
    """A network that a backend cannot execute, or not with the same result."""


def key_of(weights: Path, architecture: Mapping[str, Any] | None) -> str:
    """Name the conversion of a file of weights.

    Args:
        weights: The file.
        architecture: All that the network depends on beside its weights.

    Returns:
        Hash of the content of the file, the architecture and the code of the networks.
    """
    parts = [sha256_of(weights), architecture_text(architecture or {}), kprtrack.__version__, _code_hash()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def stored(key: str | None) -> bytes | None:
    """Return the ONNX model that was stored under a key; None if there is none, or it is damaged."""
    if key is None:
        return None
    try:
        content = _file(key).read_bytes()
    except OSError:
        return None
    digest, model = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    return model if hashlib.sha256(model).digest() == digest else None


def store(key: str | None, model: bytes) -> None:
    """Keep an ONNX model for later runs, where the folder can be written."""
    if key is None:
        return
    with suppress(OSError, OutputError, UserError):
        _file(key).parent.mkdir(parents=True, exist_ok=True)
        write_file(_file(key), hashlib.sha256(model).digest() + model, concurrent=True)


def _file(key: str) -> Path:
    return store_folder().with_name("converted") / f"{key}.onnx"


@cache
def _code_hash() -> str:
    """Hash the source files of the networks, so that no conversion outlives a change of them."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for folder in _CODE:
        for file in sorted((root / folder).glob("*.py")):
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()
