"""What the networks see in a benchmark's videos, kept on disk, so that they run once."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eval.bench.ablations import Row
from eval.workers import Tell
from kprtrack import __version__
from kprtrack.build import FILE, weights_of
from kprtrack.config import TrackConfig
from kprtrack.core.datatypes import Detections, Frame, Observation, Poses
from kprtrack.core.errors import InputError
from kprtrack.detectors.file import load_file_detections
from kprtrack.io import (
    SUFFIXES,
    ObservationFile,
    RunHeader,
    open_observations_writer,
    read_observations,
)
from kprtrack.pipeline import Networks, observe
from kprtrack.poses.file import load_file_poses
from kprtrack.run import Clip, run_header
from kprtrack.video.decoder import Span
from kprtrack.video.images import ImageFiles
from kprtrack.video.source import Source

Builder = Callable[[TrackConfig], Networks]

FPS = 25.0  # of every video: images carry no time, and most of PoseTrack's clips were filmed at this rate
_ROLES = ("detector", "pose", "reid")


@dataclass(frozen=True)
class BenchVideo:
    """One sequence of a benchmark: the images of its ground truth file, in that file's order."""

    name: str
    root: Path
    images: tuple[Mapping[str, object], ...]  # as the file has them
    content: str = ""  # see `with_content`

    @property
    def files(self) -> list[Path]:
        return [self.root / str(image["file_name"]) for image in self.images]


def bench_videos(root: Path, split: str) -> list[BenchVideo]:
    """The sequences of a split of PoseTrack21, by name.

    Raises: InputError naming the folder, file or image that is missing.
    """
    folder = root / "posetrack_data" / split
    files = sorted(folder.glob("*.json"))
    if not files:
        there = sorted(path.name for path in folder.parent.glob("*") if path.is_dir())
        known = f" Splits there: {', '.join(there)}." if there else ""
        raise InputError(
            f"No ground truth in {folder}: the root must hold images/, posetrack_data/ and posetrack_mot/."
            + known
        )
    return [_video(root, split, file) for file in files]


def network_key(config: TrackConfig) -> str:
    """Where observations of these networks lie: 16 hex digits of their weights and settings.

    Tracker, device, batch sizes and threads are left out: they decide nothing, or digits that are noise.
    Raises: WeightsError and UserError if weights are missing.
    """
    metadata: dict[str, object] = {
        "kprtrack": __version__,
        "precision": config.precision,
        "backend": config.backend,
    }
    for role in _ROLES:
        part = getattr(config, role)
        file = weights_of(role, part)
        # A given file is one video's content, see `with_content`.
        sha256 = None if file is None or part.name == FILE else file.sha256
        metadata[role] = {"name": part.name, "sha256": sha256, "options": dict(part.options)}
    return hashlib.sha256(json.dumps(metadata, sort_keys=True, default=str).encode()).hexdigest()[:16]


class Observer:
    """Sees videos with the networks of one row; loads and runs them only for what is not on disk yet."""

    def __init__(self, row: Row, folder: Path, build: Builder) -> None:
        """folder: of all observations; each set of networks has a folder of its own in it."""
        self._row, self._build = row, build
        self._folder = folder / network_key(row.config)
        self._base_folder = folder / network_key(row.base) if row.base else self._folder
        self._networks: Networks | None = None

    def see(self, video: BenchVideo, tell: Tell) -> ObservationFile:
        """The complete observations of a video whose content is known.

        Raises: InputError, WeightsError, OutputError.
        """
        path = self._folder / f"{video.name}.npz"
        known = _complete(path, video.content)
        if known:
            tell(len(video.images))
            return known
        config = for_video(self._row.config, video)
        networks = self._for_video(config, video)
        with _open(video) as source:
            header = run_header(source.info, Clip(str(video.files[0].parent)), config, networks)
            header = RunHeader({**header.video, "sha256": video.content}, header.models, header.config)
            with open_observations_writer(path, header) as writer:
                for seen in observe(source, networks, config.frames_at_once):
                    writer.write(seen)
                    tell(1)
        return read_observations(path)

    def _for_video(self, config: TrackConfig, video: BenchVideo) -> Networks:
        """The networks, with what is known of this video in place of those that need not run."""
        if self._networks is None:
            self._networks = self._build(config)
        networks = _with_given_people(self._networks, config)
        seen = _complete(self._base_folder / f"{video.name}.npz", video.content)
        return _with_known_people(networks, seen) if seen else networks


def with_content(video: BenchVideo, config: TrackConfig) -> BenchVideo:
    """`video` with the sha256 of all that networks are shown of it: its images, and what is given."""
    if video.content:
        return video
    config = for_video(config, video)
    given = [Path(str(part.weights)) for part in (config.detector, config.pose) if part.name == FILE]
    whole = hashlib.sha256()
    for path in [*video.files, *given]:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return replace(video, content=whole.hexdigest())


def for_video(config: TrackConfig, video: BenchVideo) -> TrackConfig:
    """`config` with the video's own file for every part that is given. Raises: InputError without one."""
    changes: dict[str, Any] = {}
    for role in ("detector", "pose"):
        part = getattr(config, role)
        if part.name == FILE:
            changes[role] = replace(part, weights=str(_given_file(role, Path(str(part.weights)), video)))
    return replace(config, **changes)


def _given_file(role: str, folder: Path, video: BenchVideo) -> Path:
    files = [path for suffix in SUFFIXES if (path := folder / f"{video.name}{suffix}").is_file()]
    if not files:
        raise InputError(
            f"--{role} given: {folder} has no file of {video.name} ({', '.join(SUFFIXES)}). A benchmark needs"
            " a folder with one file for each of its videos, such as posetrack_data/val."
        )
    return files[0]


def _video(root: Path, split: str, file: Path) -> BenchVideo:
    try:
        images = json.loads(file.read_bytes())["images"]
        video = BenchVideo(file.stem, root, tuple({**image, "id": image["id"]} for image in images))
        files = video.files
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{file} is no ground truth of PoseTrack21 ({type(error).__name__}: {error})."
        ) from None
    if not files:
        raise InputError(f"{file} lists no images.")
    gone = [path for path in files if not path.is_file()]
    if gone:
        raise InputError(
            f"{len(gone)} of {len(files)} images of {video.name} are missing, first {gone[0]}. The images"
            " come with PoseTrack18, not with PoseTrack21's annotations: put them below images/."
        )
    boxes = root / "posetrack_mot" / "mot" / split
    if boxes.is_dir() and not (boxes / video.name / "gt" / "gt.txt").is_file():
        raise InputError(f"{boxes / video.name}/gt/gt.txt is missing, but other true boxes are there.")
    return video


def _complete(path: Path, content: str) -> ObservationFile | None:
    """The observations in `path` if they are all there and of this content."""
    try:
        known = read_observations(path)
    except InputError:  # not there, or cut short
        return None
    return known if known.complete and known.header.video.get("sha256") == content else None


def _with_given_people(networks: Networks, config: TrackConfig) -> Networks:
    """`networks`, made for another video, with the files of this one for what is given."""
    metadata = dict(networks.metadata)
    if config.detector.name == FILE:
        path = Path(str(config.detector.weights))
        boxes = load_file_detections(path)
        metadata["detector"] = {**metadata["detector"], "file": path.name}
        networks = replace(networks, detect=lambda frames: boxes.for_frames([f.number for f in frames]))
    if config.pose.name == FILE:
        path = Path(str(config.pose.weights))
        poses = load_file_poses(path)
        metadata["pose"] = {**metadata["pose"], "file": path.name}
        networks = replace(
            networks,
            estimate_poses=lambda frames, people: poses.for_frames([f.number for f in frames], people),
        )
    return replace(networks, metadata=metadata)


def _with_known_people(networks: Networks, seen: ObservationFile) -> Networks:
    """`networks` that need not look for people, nor for their joints: only the encoder runs."""
    known: dict[int, Observation] = {one.frame_number: one for one in seen}

    def detect(frames: list[Frame]) -> list[Detections]:
        return [known[frame.number].detections for frame in frames]

    def estimate_poses(frames: list[Frame], people: list[Detections]) -> list[Poses]:
        return [known[frame.number].poses for frame in frames]

    return replace(networks, detect=detect, estimate_poses=estimate_poses)


def _open(video: BenchVideo) -> Source:
    return Source(ImageFiles(str(video.files[0].parent), video.files, FPS), Span())
