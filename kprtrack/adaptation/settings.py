"""Settings of an adaptation."""

from dataclasses import asdict, dataclass, field
from typing import Any

from kprtrack.adaptation.clean_tracks import CleanTrackConfig
from kprtrack.config import TrackConfig
from kprtrack.core.errors import UserError

# Seconds of one core with AVX-512, rounded up: 1,396 crops of CUHK03, and docs/benchmarks.md for tracking.
_TRACK_FRAME_S = 0.1
_KEYPOINTS_S, _LABELS_S, _SCORE_S, _TRAIN_S = 0.04, 0.004, 0.02, 0.03  # of a crop


@dataclass(frozen=True)
class AdaptConfig:
    """How the encoder is adapted; the defaults take minutes on the CPU of a laptop.

    Raises:
        UserError: A value is outside its range.
    """

    epochs: int = 4
    held_out: float = 0.3  # share of the people who are scored and not trained on
    seed: int = 0  # of drawing them, and of the training
    crops: CleanTrackConfig = field(default_factory=CleanTrackConfig)
    networks: TrackConfig = field(default_factory=TrackConfig)  # that track, and estimate keypoints

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise UserError(f"--epochs is {self.epochs}. Give 1 or more.")
        if not 0 < self.held_out < 1:
            raise UserError(f"--held-out is {self.held_out}. Give a share between 0 and 1, such as 0.3.")
        if self.seed < 0:
            raise UserError(f"--seed is {self.seed}. Give 0 or more.")

    def result_settings(self) -> dict[str, Any]:
        """Return the settings that decide the result, as JSON holds them."""
        return {
            "epochs": self.epochs,
            "held_out": self.held_out,
            "seed": self.seed,
            **{f"crops.{name}": value for name, value in asdict(self.crops).items()},
        }


def expected_minutes(config: AdaptConfig, *, frames: int, crops: int, poses: bool) -> float:
    """Estimate the time on one CPU core.

    Args:
        config: Of the adaptation.
        frames: That are to be tracked.
        crops: Of all people.
        poses: Whether keypoints are to be estimated.

    Returns:
        Minutes.
    """
    trained = crops * (1 - config.held_out)
    scored = crops - trained
    seconds = frames * _TRACK_FRAME_S + crops * _KEYPOINTS_S * poses + trained * _LABELS_S
    return (seconds + 2 * scored * _SCORE_S + config.epochs * trained * _TRAIN_S) / 60
