"""Why a track has its ID: when it was seen, how certain it is, and each re-identification in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kprtrack.core.errors import UserError
from kprtrack.edits.grammar import clock_text
from kprtrack.identity.confidence import COEFFICIENTS, confidence_in, confidence_of, features_of
from kprtrack.identity.evidence import evidence_of
from kprtrack.identity.results import IdentifiedResult
from kprtrack.trackers.reidentification import Reidentification

# Number of body parts -> their names, in the order of the published models (docs/reference/kpr.md 3.1).
_PARTS = {
    5: ("head", "upper arms and torso", "lower arms and torso", "legs", "feet"),
    8: ("head", "left arm", "right arm", "torso", "left leg", "right leg", "left foot", "right foot"),
}
_MOST_LISTED = 30  # IDs in a message
_LEAST_LOWERED = 0.005


@dataclass(frozen=True)
class Explanation:
    """What is known of a track.

    Args:
        track_id: The track.
        name: Of the person; "": unknown.
        confidence: Probability that all of its boxes are one person.
        lowered: What lowers the confidence, in words, and the confidence without that; the worst first.
        times_s: [B] seconds, of its boxes.
        distances: [B] part distance of each box to the track; NaN: not compared.
        margins: [B] how much farther the next track was; NaN: there was none.
        evidence: Its re-identifications, in order of time.
        part_names: Of the embeddings.
    """

    track_id: int
    name: str
    confidence: float
    lowered: tuple[tuple[str, float], ...]
    times_s: np.ndarray
    distances: np.ndarray
    margins: np.ndarray
    evidence: tuple[Reidentification, ...]
    part_names: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the explanation as lines of text."""
        seen = (
            f"seen from {clock(self.times_s[0])} to {clock(self.times_s[-1])} in {len(self.times_s)} frames"
        )
        lines = [f"track {self.track_id}{f' ({self.name})' if self.name else ''}: {seen}"]
        lines.append(f"identity confidence {self.confidence:.2f}")
        lines += [f"  lowered by {what}; without that {without:.2f}" for what, without in self.lowered]
        if not self.evidence:
            lines.append("no re-identification: it was never lost for long")
        return lines + [reidentification_text(one, self.part_names) for one in self.evidence]


def explain(result: IdentifiedResult, track_id: int) -> Explanation:
    """Explain the ID of a track.

    Args:
        result: With its corrections.
        track_id: The track.

    Raises:
        UserError: There is no such track.

    Examples:
        >>> print(explain(read_result("tracks.json"), 1).lines()[0])
        track 1: seen from 0:00 to 0:01.1 in 12 frames
    """
    frames, header = result.tracks.frames, result.prototypes.header
    rows = [(one, np.flatnonzero(one.ids == track_id)) for one in frames]
    found = [(one, int(row[0])) for one, row in rows if len(row)]
    if not found:
        raise UserError(f"There is no track {track_id} in {result.path}. Its tracks: {_listed(result)}.")
    features = features_of(frames, result.prototypes)[track_id]
    return Explanation(
        track_id=track_id,
        name=result.tracks.header.names.get(track_id, ""),
        confidence=confidence_in(header).get(track_id, confidence_of(features)),
        lowered=_lowered(features),
        times_s=np.array([one.time_s for one, _ in found]),
        distances=np.array([one.distances[row] for one, row in found]),
        margins=np.array([one.margins[row] for one, row in found]),
        evidence=tuple(one for one in evidence_of(header) if one.track_id == track_id),
        part_names=part_names(result.prototypes.means.features.shape[1]),
    )


def reidentification_text(record: Reidentification, names: Sequence[str]) -> str:
    """Describe a re-identification in one line.

    Args:
        record: The re-identification.
        names: Of its parts.

    Examples:
        >>> record = Reidentification(
        ...     *(7, 9, 0.095, 0.25, 0.31, 0.05, ((3, 0.41),), (), 1033, 41.32, 38.1, 41.2),
        ...     (10.0, 20.0, 60.0, 180.0),
        ...     (0.08, 0.11, None),
        ... )
        >>> for text in reidentification_text(record, ("torso", "legs", "head")).split("; "):
        ...     print(text)
        at 0:41.2 it came back after 3.1 s: torso 0.08, legs 0.11, head not seen
        distance 0.10, limit 0.25
        next: track 3 at 0.41
    """
    parts = [
        f"{name} {'not seen' if far is None else f'{far:.2f}'}"
        for name, far in zip(names, record.parts, strict=False)
    ]
    others = sorted({*record.other_lost, *record.other_new}, key=lambda other: other[1])
    others = [other for other in others if other[0] != record.track_id]
    after = "at once" if record.seen_s <= record.lost_s else f"after {record.seen_s - record.lost_s:.1f} s"
    return "; ".join(
        [
            f"at {clock(record.seen_s)} it came back {after}: {', '.join(parts)}",
            f"distance {record.distance:.2f}, limit {record.limit:.2f}",
            "next: " + ", ".join(f"track {number} at {far:.2f}" for number, far in others[:2])
            if others
            else "no other track was lost",
        ]
    )


def part_names(count: int) -> tuple[str, ...]:
    """Return the names of the parts of embeddings, by their number."""
    if count == 1:
        return ("whole person",)
    if count - 1 in _PARTS:
        return ("whole person", *_PARTS[count - 1])
    return _PARTS.get(count, tuple(f"part {number}" for number in range(1, count + 1)))


def clock(time_s: float) -> str:
    """A time to a tenth of a second."""
    return clock_text(round(float(time_s), 1))


def _lowered(features: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    whole = confidence_of(features)
    words = {
        "nearer": lambda value: f"another track that was nearer in appearance in {value:.0%} of its boxes",
        "reidentification": lambda value: "a re-identification near its limits",
        "groups": lambda value: (
            f"two groups of its embeddings, {value:.2f} of the distance of two people apart"
        ),
        "exchange": lambda value: "embeddings that are nearer to another track than to its other ones",
    }
    without = {name: confidence_of({**features, name: 0.0}) for name in COEFFICIENTS if features[name] > 0}
    kept = sorted(
        (name for name in without if without[name] - whole >= _LEAST_LOWERED), key=lambda n: -without[n]
    )
    return tuple((words[name](features[name]), without[name]) for name in kept)


def _listed(result: IdentifiedResult) -> str:
    ids = sorted({number for one in result.tracks.frames for number in one.ids.tolist()})
    shown = ", ".join(map(str, ids[:_MOST_LISTED]))
    return f"{shown} and {len(ids) - _MOST_LISTED} more" if len(ids) > _MOST_LISTED else shown or "none"
