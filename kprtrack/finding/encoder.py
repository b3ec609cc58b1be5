"""The ReID encoder by which the embeddings of results were made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kprtrack.build import DEFAULT_WEIGHTS, NO_REID, check_name, takes_prompts, weights_of
from kprtrack.config import ComponentConfig
from kprtrack.core.errors import UserError, WeightsError


@dataclass(frozen=True)
class EncoderOfResults:
    """A ReID encoder with its weights.

    Args:
        component: For `kprtrack.build_reid_encoder`.
        prompted: It takes prompts.
    """

    component: ComponentConfig
    prompted: bool


def encoder_of(reid: Mapping[str, Any], weights: str | None = None) -> EncoderOfResults:
    """Return the encoder of results.

    Args:
        reid: "reid" in the header of prototypes: name, file, weights, sha256, options.
        weights: Its file or name, where the results do not say where it is.

    Returns:
        The encoder; its weights are there, and those of the results.

    Raises:
        UserError: The results have no encoder, or one that is unknown.
        WeightsError: The weights are missing or other ones.
    """
    name, options, sha256 = reid.get("name"), reid.get("options"), reid.get("sha256")
    if not isinstance(name, str) or name == NO_REID:
        raise UserError(
            "The results have no embeddings of people. Track the videos with a ReID encoder: --reid."
        )
    known = weights or reid.get("weights") or DEFAULT_WEIGHTS["reid"].get(name)
    component = ComponentConfig(
        name,
        known if isinstance(known, str) else None,
        dict(options) if isinstance(options, Mapping) else {},
    )
    check_name("reid", component)
    if component.weights is None:
        raise UserError(
            f"The results were made with the ReID encoder '{name}' and the weights {_file(reid)}. Say where"
            " they are: --reid-weights FILE."
        )
    file = weights_of("reid", component)
    if sha256 and file is not None and file.sha256 and file.sha256 != sha256:
        raise WeightsError(
            f"{file.path} has other weights than {_file(reid)}, which the results were made with (sha256"
            f" {file.sha256[:12]}, not {str(sha256)[:12]}). Name those with --reid-weights FILE."
        )
    return EncoderOfResults(component, takes_prompts(name))


def validate_same_encoder(gallery: Mapping[str, Any], results: Mapping[str, Any]) -> None:
    """Raise UserError unless the embeddings of a gallery and of results are by one encoder.

    Args:
        gallery: "reid" in the header of prototypes.
        results: Likewise.
    """
    if any(gallery.get(key) != results.get(key) for key in ("name", "sha256")):
        raise UserError(
            f"The gallery has embeddings of {_file(gallery)} and the results of {_file(results)}, which"
            " cannot be compared. Track the videos with the encoder of the gallery."
        )


def _file(reid: Mapping[str, Any]) -> str:
    return str(reid.get("file") or "unknown")[:200]
