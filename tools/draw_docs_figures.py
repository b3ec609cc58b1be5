"""Draw the figures of docs/ from the demo clip, its ground truth and the small networks.

python tools/draw_docs_figures.py                    # writes docs/figures/*.png; two minutes on a CPU
python tools/draw_docs_figures.py prompts track_states --out FOLDER
"""

import argparse
import gzip
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import cv2
import matplotlib.pyplot as plt
import numpy as np
from joint_angles import joint_angles
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from track_states import track_states

from kprtrack.build import build_networks, build_tracker
from kprtrack.cli.demo import CLIP, GROUND_TRUTH
from kprtrack.config import ComponentConfig, TrackConfig
from kprtrack.core.appearance import Appearance
from kprtrack.core.datatypes import Detections, Frame, Observation, Poses, Tracks
from kprtrack.core.part_distance import compare, part_distances, prepare
from kprtrack.core.skeleton import LIMBS
from kprtrack.io import read_tracks
from kprtrack.pipeline import track
from kprtrack.video.source import open_source
from reid.model.prompts import PromptConfig, draw_heatmaps, into_crop, whole_pixel_boxes
from reid.parts.targets import PART_GROUPS

FOLDER = Path(__file__).parents[1] / "docs" / "figures"
OVERLAP_FRAME = 88  # two people hug
PART_NAMES = ("whole person", *PART_GROUPS["five_v"])  # of small-kpr, in its order
POSITIVE, NEGATIVE, NEUTRAL = "#0a8f4d", "#c8281e", "#3d4c66"
COLOURS = plt.get_cmap("tab10").colors  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Clip:
    """The frames of the demo clip with their ground truth, frame by frame."""

    frames: list[Frame]
    people: list[Tracks]

    def detections(self, number: int) -> tuple[list[Frame], list[Detections], list[Poses]]:
        """One frame as a batch, with true boxes and keypoints in the place of a detector's."""
        people = self.people[number]
        scores = np.ones(len(people), np.float32)
        return [self.frames[number]], [Detections(people.boxes, scores)], [Poses(people.keypoints)]


def read_clip() -> Clip:
    """Read the demo clip and its ground truth."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ground_truth.json"
        file.write_bytes(gzip.decompress(GROUND_TRUTH.read_bytes()))
        people = list(read_tracks(file).frames)
    with open_source(CLIP) as video:
        return Clip(list(video), people)


def embeddings(clip: Clip, numbers: range | list[int], *, prompts: bool = True) -> Iterator[Appearance]:
    """Embed the people of some frames by small-kpr, with or without prompts."""
    config = TrackConfig(reid=ComponentConfig("small", None, {"prompts": prompts}))
    networks = build_networks(config)
    for number in numbers:
        yield networks.embed(*clip.detections(number))[0]


def prompts(clip: Clip) -> Figure:
    """Two people in nearly the same box, and the prompts that tell them apart."""
    people, image = clip.people[OVERLAP_FRAME], clip.frames[OVERLAP_FRAME].image
    pair = overlapping_pair(people.boxes)
    config = PromptConfig(height=384, width=192)
    figure, axes = plt.subplots(2, 4, figsize=(9.2, 8.4), layout="constrained")
    for row, person in enumerate(pair):
        corner = whole_pixel_boxes(people.boxes[[person]], *image.shape[:2])[0]
        skeletons = into_crop(people.keypoints, corner, config)
        others = np.delete(skeletons, person, axis=0)
        heatmaps = draw_heatmaps(skeletons[person], others, config)
        x1, y1, x2, y2 = corner
        crop = cv2.resize(image[y1:y2, x1:x2], (config.width, config.height), interpolation=cv2.INTER_CUBIC)
        axes[row, 0].imshow(_context(image, people.boxes[pair], margin=30))
        axes[row, 0].add_patch(_rectangle(people.boxes[person], people.boxes[pair], margin=30))
        axes[row, 0].set_title(f"person {'AB'[row]} in the frame")
        axes[row, 1].imshow(crop)
        for skeleton, colour in [(skeletons[person], POSITIVE), *((other, NEGATIVE) for other in others)]:
            _skeleton(axes[row, 1], skeleton, colour)
        axes[row, 1].set_title("crop and keypoints")
        axes[row, 2].imshow(_overlay(crop, heatmaps[2:].max(axis=0), POSITIVE))
        axes[row, 2].set_title("positive prompts\n(six groups, maximum)")
        axes[row, 3].imshow(_overlay(crop, heatmaps[1], NEGATIVE))
        axes[row, 3].set_title("negative prompts")
    for axis in axes.flat:
        axis.set_axis_off()
    return figure


def timeline(clip: Clip) -> Figure:
    """The track ID of every person over the clip, from true boxes and keypoints."""
    config, numbers = TrackConfig(), range(len(clip.frames))
    observations = [
        Observation(
            number, clip.frames[number].time_s, *(one[0] for one in clip.detections(number)[1:]), found
        )
        for number, found in zip(numbers, embeddings(clip, numbers), strict=True)
    ]
    ids = np.full((len(numbers), max(int(people.ids.max(initial=0)) for people in clip.people) + 1), -1)
    for people, tracks in zip(
        clip.people, track(observations, build_tracker(config.tracker, fps=25)), strict=True
    ):
        for box, track_id in zip(tracks.boxes, tracks.ids, strict=True):
            same = np.abs(people.boxes - box).max(axis=1) < 0.5  # no one: an interpolated box
            ids[tracks.frame_number, people.ids[same]] = track_id
    times = np.array([frame.time_s for frame in clip.frames])
    present = np.zeros_like(ids, bool)
    for number, people in enumerate(clip.people):
        present[number, people.ids] = True
    figure, axis = plt.subplots(figsize=(9.2, 3.8), layout="constrained")
    _draw_timeline(axis, times, ids, present)
    return figure


def _draw_timeline(axis: Axes, times: np.ndarray, ids: np.ndarray, present: np.ndarray) -> None:
    step = times[1] - times[0]
    persons = np.flatnonzero(present.any(axis=0))
    for row, person in enumerate(persons):
        seen = np.flatnonzero(present[:, person])
        axis.plot(times[[seen[0], seen[-1]]], [row, row], color="#b9c2d0", lw=1.2, ls=":", zorder=0)
        for run in _runs(ids[:, person]):
            number, start, end = ids[run[0], person], times[run[0]], times[run[-1]] + step
            colour = COLOURS[(number - 1) % 10]
            axis.barh(row, end - start, left=start, height=0.62, color=colour)
            if end - start > 0.3:
                axis.text(
                    start + 0.06, row, f"{number}", va="center", color="white", fontsize=9, weight="bold"
                )
        missed = present[:, person] & (ids[:, person] < 0)
        axis.scatter(times[missed], np.full(missed.sum(), row), marker="|", s=40, color=NEGATIVE)
    axis.set(yticks=range(len(persons)), yticklabels=[f"person {person}" for person in persons])
    axis.set(xlabel="time in the clip (s)", xlim=(0, times[-1] + step))
    axis.invert_yaxis()
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def reidentification(clip: Clip) -> Figure:
    """Part distances from a person who is partly occluded to candidates, with and without prompts."""
    pair = overlapping_pair(clip.people[OVERLAP_FRAME].boxes)
    person = pair[1]
    identity = clip.people[OVERLAP_FRAME].ids[person]
    gallery = _unoccluded_crops(clip, last=OVERLAP_FRAME - 20)
    distances = []
    for prompted in (True, False):
        numbers = [OVERLAP_FRAME, *(number for number, _ in gallery)]
        query, *found = embeddings(clip, numbers, prompts=prompted)
        candidates = [one[np.array([row])] for one, (_, row) in zip(found, gallery, strict=True)]
        distances.append(_distances(query[np.array([person])], candidates))
    order = np.argsort(distances[0][0])
    figure = plt.figure(figsize=(9.2, 7.6), layout="constrained")
    grid = figure.add_gridspec(3, len(gallery) + 1, height_ratios=(1.5, 1, 1))
    _crop_axis(figure.add_subplot(grid[0, 0]), clip, OVERLAP_FRAME, person, "query", NEUTRAL)
    for place, column in enumerate(order, start=1):
        number, row = gallery[column]
        same = clip.people[number].ids[row] == identity
        title = "same person" if same else f"other person\n(track {clip.people[number].ids[row]})"
        _crop_axis(
            figure.add_subplot(grid[0, place]), clip, number, row, title, POSITIVE if same else NEGATIVE
        )
    for row, (values, title) in enumerate(
        zip(distances, ("with prompts", "without prompts"), strict=True), start=1
    ):
        _distance_table(figure.add_subplot(grid[row, 1:]), values[:, order], title)
    return figure


def _unoccluded_crops(clip: Clip, last: int) -> list[tuple[int, int]]:
    """For each person the latest frame up to `last` in which all of it is visible: frame and row."""
    found: dict[int, tuple[int, int]] = {}
    for number in range(last):
        people = clip.people[number]
        for row, identity in enumerate(people.ids.tolist()):
            alone = (_overlap(people.boxes[row], np.delete(people.boxes, row, axis=0)) < 0.02).all()
            if alone and (people.keypoints[row, :, 2] > 0.9).mean() > 0.8:
                found[identity] = (number, row)
    return list(found.values())


def _distances(query: Appearance, candidates: list[Appearance]) -> np.ndarray:
    """The mean distance and that of each part, [1 + P, G]; NaN where a part is not shared."""
    ours = prepare(query.features, query.visible, "cosine")
    columns = []
    for candidate in candidates:
        theirs = prepare(candidate.features, candidate.visible, "cosine")
        parts = part_distances(ours, theirs, "cosine")[:, 0, 0]
        parts[~(query.visible[0] & candidate.visible[0])] = np.nan
        columns.append([compare(ours, theirs, metric="cosine")[0, 0], *parts])
    return np.array(columns).T


def _distance_table(axis: Axes, values: np.ndarray, title: str) -> None:
    axis.imshow(values, cmap="viridis_r", vmin=0, vmax=0.8, aspect="auto")  # NaN stays white
    for (row, column), value in np.ndenumerate(values):
        text = "not visible" if np.isnan(value) else f"{value:.2f}"
        weight, colour = "bold" if row == 0 else "normal", "white" if value > 0.4 else "black"
        axis.text(column, row, text, ha="center", va="center", fontsize=8.5, weight=weight, color=colour)
    axis.axhline(0.5, color="white", lw=3)
    axis.set(
        yticks=range(len(values)),
        yticklabels=[
            "mean distance",
            *(name.replace("_torso", ", torso").replace("_", " ") for name in PART_NAMES),
        ],
        xticks=[],
    )
    axis.set_title(title, loc="left", fontsize=10)


def overlapping_pair(boxes: np.ndarray) -> np.ndarray:
    """The two boxes that overlap most, from left to right."""
    overlap = np.array([_overlap(box, boxes) for box in boxes])
    np.fill_diagonal(overlap, 0)
    pair = np.array(np.unravel_index(overlap.argmax(), overlap.shape))
    return pair[np.argsort(boxes[pair, 0])]


def _overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU of one box with others, [N]."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    return shared / ((box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - shared)


def _runs(ids: np.ndarray) -> list[np.ndarray]:
    """Frames in a row with the same ID."""
    edges = np.flatnonzero(np.diff(ids)) + 1
    return [run for run in np.split(np.arange(len(ids)), edges) if ids[run[0]] > 0]


def _window(boxes: np.ndarray, margin: int) -> tuple[int, int, int, int]:
    (x1, y1), (x2, y2) = boxes[:, :2].min(axis=0) - margin, boxes[:, 2:].max(axis=0) + margin
    return max(int(x1), 0), max(int(y1), 0), int(x2), int(y2)


def _context(image: np.ndarray, boxes: np.ndarray, margin: int) -> np.ndarray:
    x1, y1, x2, y2 = _window(boxes, margin)
    return image[y1:y2, x1:x2]


def _rectangle(box: np.ndarray, boxes: np.ndarray, margin: int) -> plt.Rectangle:
    x, y, *_ = _window(boxes, margin)
    return plt.Rectangle(box[:2] - (x, y), *(box[2:] - box[:2]), fill=False, ec="#ffd400", lw=2.5)


def _crop_axis(axis: Axes, clip: Clip, number: int, row: int, title: str, colour: str) -> None:
    image = clip.frames[number].image
    x1, y1, x2, y2 = whole_pixel_boxes(clip.people[number].boxes[[row]], *image.shape[:2])[0]
    axis.imshow(cv2.resize(image[y1:y2, x1:x2], (96, 192), interpolation=cv2.INTER_CUBIC))
    axis.set(xticks=[], yticks=[])
    axis.set_title(title, fontsize=9, color=colour)
    for spine in axis.spines.values():
        spine.set(color=colour, linewidth=3)


def _skeleton(axis: Axes, keypoints: np.ndarray, colour: str) -> None:
    known = keypoints[:, 2] > 0
    for a, b in LIMBS:
        if known[a] and known[b]:
            axis.plot(*keypoints[[a, b], :2].T, color=colour, lw=2)
    axis.scatter(*keypoints[known, :2].T, s=18, color=colour, edgecolors="white", linewidths=0.6, zorder=3)


def _overlay(crop: np.ndarray, heatmap: np.ndarray, colour: str) -> np.ndarray:
    """A grey crop with a heatmap [h, w] in [0, 1] drawn over it, [h, w, 3] in [0, 1]."""
    grey = np.repeat(crop.mean(axis=2, keepdims=True) / 255 * 0.6 + 0.35, 3, axis=2)
    strength = heatmap[..., None] * 0.9
    return grey * (1 - strength) + np.array(matplotlib.colors.to_rgb(colour)) * strength


FIGURES: dict[str, Callable[[Clip], Figure]] = {
    "prompts": prompts,
    "track_states": lambda clip: track_states(),
    "timeline": timeline,
    "reidentification": reidentification,
    "joint_angles": lambda clip: joint_angles(),
}


def main() -> None:
    """Draw the figures that are named on the command line, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figures", nargs="*", choices=[[], *FIGURES], metavar="NAME", help=", ".join(FIGURES))
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help="default: docs/figures")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    clip = read_clip()
    for name in options.figures or FIGURES:
        figure = FIGURES[name](clip)
        figure.savefig(options.out / f"{name}.png", dpi=110, metadata={"Software": None})
        print(options.out / f"{name}.png")


if __name__ == "__main__":
    main()
