"""Convert trained weights to half precision and write them into the package, without training-only tensors.

    python tools/ship_weights.py runs/small-detector/best.safetensors small-detector
    python tools/ship_weights.py runs/small-pose/best.safetensors small-pose
    python tools/ship_weights.py runs/small-kpr/weights.safetensors small-kpr

Several files, from consecutive parts of a training, are averaged (model soup, Wortsman et al., ICML 2022).
The script prints the values for kprtrack/hub/catalog.py and for the model card.
"""

import argparse
import hashlib
import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save

from kprtrack.core.atomic_file import write_file
from kprtrack.hub.cache import PACKAGE_WEIGHTS
from kprtrack.hub.catalog import CATALOGUE

_KPR = "kpr_config"  # in the header of an encoder


def main() -> None:
    """Write one file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trained", type=Path, nargs="+", help="trained weights, safetensors")
    parser.add_argument("name", choices=[each.name for each in CATALOGUE.values() if each.in_package])
    options = parser.parse_args()
    read = [_read(path) for path in options.trained]
    if any(header != read[0][0] for header, _ in read):
        raise SystemExit("ship_weights: the files hold networks of different shapes.")
    header, tensors = read[0][0], _mean([tensors for _, tensors in read])
    tensors = {name: _rounded(name, tensor) for name, tensor in tensors.items()}
    content = save(tensors, header)
    target = PACKAGE_WEIGHTS / CATALOGUE[options.name].file_name
    write_file(target, content)
    count = sum(tensor.numel() for tensor in tensors.values() if tensor.is_floating_point())
    print(f"{target}: {count:,} numbers, {len(content) / 1e6:.2f} MB")
    print(f"size_bytes={len(content):_}, sha256={hashlib.sha256(content).hexdigest()!r}")


def _read(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Return header and tensors, without the identities of an encoder's training set."""
    with safe_open(path, framework="pt") as file:
        header, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if _KPR in header:
        header = {**header, _KPR: json.dumps(json.loads(header[_KPR]) | {"identities": 1})}
        tensors = {name: _single_identity(name, tensor) for name, tensor in tensors.items()}
    return header, tensors


def _mean(all_tensors: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Return the mean of each tensor of floats; integer tensors are those of the last file."""
    return {
        name: torch.stack([each[name].float() for each in all_tensors]).mean(dim=0)
        if last.is_floating_point()
        else last
        for name, last in all_tensors[-1].items()
    }


def _single_identity(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Replace a classifier of the training identities, a third of the file, by zeros for one identity."""
    of_identities = name.startswith(("identity.", "part_identity.")) and ".classifier." in name
    return torch.zeros_like(tensor[:1]) if of_identities else tensor


def _rounded(name: str, tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.is_floating_point():
        return tensor
    half = tensor.to(torch.float16)
    if not torch.isfinite(half).all():
        raise SystemExit(
            f"{name} holds numbers up to {tensor.abs().max():.3g}, too large for half precision."
        )
    return half


if __name__ == "__main__":
    main()
