"""Observations of a benchmark's videos, cached on disk so that the networks run once."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eval.bench.ablations import Row
from eval.workers import OnProgress
from kprtrack import __version__
from kprtrack.build import FILE, weights_of
from kprtrack.config import TrackConfig
from kprtrack.core.datatypes import Detections, Frame, Observation, Poses
from kprtrack.core.errors import InputError
from kprtrack.core.files.coco import file_name, images_of
from kprtrack.core.files.folders import InsideFolder, visible
from kprtrack.core.files.json_file import load_json
from kprtrack.detectors.file import FileConfig, FileDetector
from kprtrack.io import (
    SUFFIXES,
    ObservationFile,
    open_observations_writer,
    read_observations,
)
from kprtrack.pipeline import Networks, observe
from kprtrack.poses.file import FilePose
from kprtrack.run import run_header
from kprtrack.video.clip import Clip
from kprtrack.video.decoder import Span
from kprtrack.video.images import ImageFiles
from kprtrack.video.source import Source

Builder = Callable[[TrackConfig], Networks]

FPS = 25.0  # of every video: image files have no time, and most of PoseTrack's clips have this rate
_ROLES = ("detector", "pose", "reid")


@dataclass(frozen=True)
class BenchVideo:
    """One sequence of a benchmark: the images listed in its ground truth file, in the same order."""

    name: str
    root: Path
    images: tuple[Mapping[str, object], ...]  # as in the file
    content: str = ""  # see `with_content_hash`

    @property
    def files(self) -> list[Path]:
        return [self.root / str(image["file_name"]) for image in self.images]


def bench_videos(root: Path, split: str) -> list[BenchVideo]:
    """Return the sequences of a split of PoseTrack21, sorted by name.

    Raises:
        InputError: A folder, file or image is missing.
    """
    folder = root / "posetrack_data" / split
    files = visible(folder, "*.json")
    if not files:
        splits = [path.name for path in visible(folder.parent) if path.is_dir()]
        known = f" Splits there: {', '.join(splits)}." if splits else ""
        raise InputError(
            f"No ground truth in {folder}: the root must hold images/, posetrack_data/ and posetrack_mot/."
            + known
        )
    return [_video(root, split, file) for file in files]


def network_key(config: TrackConfig) -> str:
    """Return the name of the folder for observations of these networks: 16 hex digits.

    The digits are a hash of weights and settings. Tracker, device, batch sizes and threads are left out: they
    do not change the observations, except for rounding.

    Raises:
        WeightsError: Weights are missing.
        UserError: Settings are invalid.
    """
    metadata: dict[str, object] = {
        "kprtrack": __version__,
        "precision": config.precision,
        "backend": config.backend,
    }
    for role in _ROLES:
        part = getattr(config, role)
        file = weights_of(role, part)
        # A file of boxes or poses belongs to the content of one video, see `with_content_hash`.
        sha256 = None if file is None or part.name == FILE else file.sha256
        metadata[role] = {"name": part.name, "sha256": sha256, "options": dict(part.options)}
    return hashlib.sha256(json.dumps(metadata, sort_keys=True, default=str).encode()).hexdigest()[:16]


class Observer:
    """Observes videos with the networks of one row, which are loaded only if observations are missing.

    Args:
        row: Row of the table.
        folder: Folder of all observations, with one folder for each set of networks.
        build: Makes the networks of a configuration.
    """

    def __init__(self, row: Row, folder: Path, build: Builder) -> None:
        self._row, self._build = row, build
        self._folder = folder / network_key(row.config)
        self._base_folder = folder / network_key(row.base) if row.base else self._folder
        self._networks: Networks | None = None

    def observe(self, video: BenchVideo, on_progress: OnProgress) -> ObservationFile:
        """Return the complete observations of a video, from the cache if possible.

        Args:
            video: A video from `with_content_hash`.
            on_progress: Called with the number of frames finished since the last call.

        Raises:
            InputError: The images cannot be read.
            WeightsError: Weights are missing or unsuitable.
            OutputError: The observations cannot be written.
        """
        path = self._folder / f"{video.name}.npz"
        stored = _complete(path, video.content)
        if stored:
            on_progress(len(video.images))
            return stored
        config = for_video(self._row.config, video)
        networks = self._for_video(config, video)
        with _open(video) as source:
            header = run_header(source.info, Clip(str(video.files[0].parent)), config, networks)
            header = replace(header, video={**header.video, "sha256": video.content})
            with open_observations_writer(path, header) as writer:
                try:
                    for observation in observe(source, networks, config.frames_at_once):
                        writer.write(observation)
                        on_progress(1)
                except BaseException:
                    writer.discard()  # only a whole video is of use to a later run
                    raise
        return read_observations(path)

    def _for_video(self, config: TrackConfig, video: BenchVideo) -> Networks:
        """Return the networks, with stored detections and poses of this video in place of networks."""
        if self._networks is None:
            self._networks = self._build(config)
        networks = _with_file_components(self._networks, config)
        stored = _complete(self._base_folder / f"{video.name}.npz", video.content)
        return _with_stored_people(networks, stored) if stored else networks


def with_content_hash(video: BenchVideo, config: TrackConfig) -> BenchVideo:
    """Return `video` with the SHA-256 of its images and of its files of boxes and poses, if any are used."""
    if video.content:
        return video
    config = for_video(config, video)
    files = [Path(str(part.weights)) for part in (config.detector, config.pose) if part.name == FILE]
    whole = hashlib.sha256()
    for path in [*video.files, *files]:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return replace(video, content=whole.hexdigest())


def for_video(config: TrackConfig, video: BenchVideo) -> TrackConfig:
    """Return `config` with the video's own file for `file` detectors and pose estimators.

    Raises:
        InputError: There is no file for the video.
    """
    changes: dict[str, Any] = {}
    for role in ("detector", "pose"):
        part = getattr(config, role)
        if part.name == FILE:
            changes[role] = replace(part, weights=str(_component_file(role, Path(str(part.weights)), video)))
    return replace(config, **changes)


def _component_file(role: str, folder: Path, video: BenchVideo) -> Path:
    files = [path for suffix in SUFFIXES if (path := folder / f"{video.name}{suffix}").is_file()]
    if not files:
        raise InputError(
            f"--{role} file: {folder} has no file for {video.name} ({', '.join(SUFFIXES)}). Give a folder"
            " with one file for each video of the benchmark, such as posetrack_data/val."
        )
    return files[0]


def _video(root: Path, split: str, file: Path) -> BenchVideo:
    images, ids = images_of(load_json(file), file)
    files = InsideFolder(root, str(file)).paths(
        file_name(image, f"{file}, image {row}") for row, image in enumerate(images)
    )
    video = BenchVideo(
        file.stem, root, tuple({**image, "id": number} for image, number in zip(images, ids, strict=True))
    )
    missing = [path for path in files if not path.is_file()]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(files)} images of {video.name} are missing, first {missing[0]}. The"
            " images come with PoseTrack18, not with PoseTrack21's annotations: put them below images/."
        )
    boxes = root / "posetrack_mot" / "mot" / split
    if boxes.is_dir() and not (boxes / video.name / "gt" / "gt.txt").is_file():
        raise InputError(
            f"{boxes / video.name}/gt/gt.txt is missing, but other ground truth boxes exist. Copy it again."
        )
    return video


def _complete(path: Path, content: str) -> ObservationFile | None:
    """Return the observations in `path` if they are complete and have this content hash."""
    try:
        stored = read_observations(path)
    except InputError:  # missing or damaged
        return None
    return stored if stored.complete and stored.header.video.get("sha256") == content else None


def _with_file_components(networks: Networks, config: TrackConfig) -> Networks:
    """Return `networks`, built for another video, with this video's files of boxes and poses."""
    metadata = dict(networks.metadata)
    if config.detector.name == FILE:
        path = Path(str(config.detector.weights))
        metadata["detector"] = {**metadata["detector"], "file": path.name}
        networks = replace(networks, detect=FileDetector(FileConfig(), path))
    if config.pose.name == FILE:
        path = Path(str(config.pose.weights))
        metadata["pose"] = {**metadata["pose"], "file": path.name}
        estimate_poses = FilePose(FileConfig(), path)
        networks = replace(networks, estimate_poses=estimate_poses, skeleton=estimate_poses.skeleton)
    return replace(networks, metadata=metadata)


def _with_stored_people(networks: Networks, stored: ObservationFile) -> Networks:
    """Return `networks` with stored detections and poses, so that only the ReID encoder runs."""
    by_number: dict[int, Observation] = {observation.frame_number: observation for observation in stored}

    def detect(frames: list[Frame]) -> list[Detections]:
        return [by_number[frame.number].detections for frame in frames]

    def estimate_poses(frames: list[Frame], people: list[Detections]) -> list[Poses]:
        return [by_number[frame.number].poses for frame in frames]

    return replace(networks, detect=detect, estimate_poses=estimate_poses, skeleton=stored.header.skeleton)


def _open(video: BenchVideo) -> Source:
    return Source(ImageFiles(str(video.files[0].parent), video.files, FPS), Span())
