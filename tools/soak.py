"""Track hours of made video and print the memory of the process on the way: it must stay flat.

    python tools/soak.py tracker --hours 3 --fps 10      tracker and every result format; no network, no video
    python tools/soak.py video --hours 3 --fps 10        `track_video` on a generated file, with an annotated
                                                         video; made boxes, poses and embeddings
    python tools/soak.py observe --hours 3 --fps 10      `observe_video` on the same

People come and go for good, so tracks are lost all the time. Memory is the resident memory of the process.
docs/reliability.md has figures.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from kprtrack.core.datatypes import Detections, Frame, Observation
    from kprtrack.pipeline import Networks

WIDTH, HEIGHT = 160, 96
STAY_S = 10.0  # how long a person is there
PARTS, DIMENSIONS = 5, 64
SHARES = (0.01, 0.1, 0.25, 0.5, 0.75, 1.0)  # of the frames, after which memory is read
_BOX = 14, 40  # width and height of a person, pixels

Reading = tuple[int, int]  # frames, bytes in use
Measure = Callable[[], int]


def main() -> None:
    """Print a table of frames and memory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=KINDS)
    parser.add_argument("--hours", type=float, default=3.0, help="length of the video")
    parser.add_argument("--fps", type=float, default=10.0)
    parser.add_argument("--people", type=int, default=5, help="people in a frame")
    options = parser.parse_args()
    frames = max(round(options.hours * 3600 * options.fps), 1)
    print(f"{options.what}: {frames:,} frames, {options.people} people in each", flush=True)
    print("\n| frames | share | memory, MB |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for done, used in soak(options.what, frames, options.fps, options.people, Path(folder)):
            print(f"| {done:,} | {100 * done / frames:.0f} % | {used / 1e6:.1f} |", flush=True)


def soak(
    what: str, frames: int, fps: float, people: int, folder: Path, measure: Measure | None = None
) -> Iterator[Reading]:
    """Run one kind and yield the frames done and the memory in use then.

    Args:
        what: tracker, video or observe.
        frames: Length.
        fps: Frames per second.
        people: People in each frame.
        folder: For the files; they stay.
        measure: Returns the memory in use, bytes; None: the resident memory of the process.
    """
    marks = {max(round(share * frames), 1) for share in SHARES}
    readings: list[Reading] = []
    measure = measure or resident_bytes

    def note(done: int) -> None:
        if done in marks:
            readings.append((done, measure()))

    for _ in KINDS[what](frames, fps, people, folder, note):
        yield from readings
        readings.clear()
    yield from readings


def _tracker(
    frames: int, fps: float, people: int, folder: Path, note: Callable[[int], None]
) -> Iterator[None]:
    """`track` and the writers of all formats."""
    from importlib.util import find_spec

    from kprtrack.build import build_tracker
    from kprtrack.io import FORMATS, RunHeader, open_observations_writer, open_writer
    from kprtrack.pipeline import track

    header = RunHeader({"name": "made.mp4", "width": WIDTH, "height": HEIGHT, "fps": fps}, {}, {})
    with ExitStack() as stack:
        stored = stack.enter_context(open_observations_writer(folder / "observations.npz", header))
        writers = [
            stack.enter_context(open_writer(folder / f"{name}{FORMATS[name].suffix}", header, name))
            for name in FORMATS
            if name != "parquet" or find_spec("pyarrow")
        ]

        def stored_observations() -> Iterator["Observation"]:
            for number in range(frames):
                observation = observed(number, fps, people)
                stored.write(observation)
                yield observation

        for done, tracks in enumerate(track(stored_observations(), build_tracker("kpr", fps)), 1):
            for writer in writers:
                writer.write(tracks)
            note(done)
            yield


def _video(frames: int, fps: float, people: int, folder: Path, note: Callable[[int], None]) -> Iterator[None]:
    """`track_video` on a file."""
    from kprtrack.run import track_video

    source = made_video(folder / "made.mp4", frames, fps)
    yield
    track_video(
        source,
        folder / "tracks.json",
        video_out=folder / "annotated.mp4",
        networks=networks(fps, people, note),
    )
    yield


def _observe(
    frames: int, fps: float, people: int, folder: Path, note: Callable[[int], None]
) -> Iterator[None]:
    """`observe_video` on a file."""
    from kprtrack.run import observe_video

    source = made_video(folder / "made.mp4", frames, fps)
    yield
    observe_video(source, folder / "observations.npz", networks=networks(fps, people, note))
    yield


KINDS = {"tracker": _tracker, "video": _video, "observe": _observe}


def observed(number: int, fps: float, people: int) -> "Observation":
    """The observation of a frame: each person stays STAY_S, then another takes the place; no one returns."""
    import numpy as np

    from kprtrack.core.appearance import Appearance
    from kprtrack.core.datatypes import Detections, Observation, Poses

    time_s = number / fps
    # Person `person` of place `place` is there from (person + place / people) * STAY_S on, but for its end.
    age_s = (time_s + np.arange(people) / people * STAY_S) % STAY_S
    person = ((time_s + np.arange(people) / people * STAY_S) // STAY_S).astype(int)
    here = np.flatnonzero(age_s < 0.9 * STAY_S)
    left = (here + 0.5) * WIDTH / people - _BOX[0] / 2 + age_s[here] / STAY_S * 5
    top = np.full(len(here), HEIGHT - _BOX[1] - 10.0)
    corners = np.stack([left, top], 1)
    boxes = np.concatenate([corners, corners + _BOX], 1).astype(np.float32)
    features = np.empty((len(here), PARTS, DIMENSIONS), np.float32)
    for row, place in enumerate(here.tolist()):
        features[row] = np.random.default_rng([place, int(person[place])]).standard_normal(
            (PARTS, DIMENSIONS)
        )
    features /= np.linalg.norm(features, axis=2, keepdims=True)
    spots = np.linspace(0.1, 0.9, 17)[None, :, None] * _BOX + corners[:, None]
    keypoints = np.concatenate([spots, np.full((len(here), 17, 1), 0.9)], 2).astype(np.float32)
    count = len(here)
    embeddings = Appearance(features, np.ones((count, PARTS), bool), np.ones(count, bool))
    found = Detections(boxes, np.full(count, 0.9, np.float32))
    return Observation(number, time_s, found, Poses(keypoints), embeddings)


def networks(fps: float, people: int, note: Callable[[int], None]) -> "Networks":
    """The made observations as three networks; calls `note` with the number of frames detected."""
    import numpy as np

    from kprtrack.core.datatypes import Poses
    from kprtrack.pipeline import Networks

    see = partial(observed, fps=fps, people=people)

    def rows(frame: "Frame", found: "Detections") -> "np.ndarray":
        """Of the made people, those that were asked for."""
        boxes = see(frame.number).detections.boxes.tolist()
        return np.array([boxes.index(box) for box in found.boxes.tolist()], int)

    def estimate_poses(frames: "list[Frame]", detections: "list[Detections]") -> list:
        pairs = zip(frames, detections, strict=True)
        return [Poses(see(frame.number).poses.keypoints[rows(frame, found)]) for frame, found in pairs]

    def embed(frames: "list[Frame]", detections: "list[Detections]", _: object) -> list:
        pairs = zip(frames, detections, strict=True)
        return [see(frame.number).embeddings[rows(frame, found)] for frame, found in pairs]

    def detect(frames: "list[Frame]") -> list:
        for frame in frames:
            note(frame.number + 1)
        return [see(frame.number).detections for frame in frames]

    return Networks(detect=detect, estimate_poses=estimate_poses, embed=embed)


def made_video(path: Path, frames: int, fps: float) -> Path:
    """Write a video of grey images that become slowly brighter and dark again."""
    import numpy as np

    from kprtrack.video.writer import VideoWriter

    writer = VideoWriter(path, WIDTH, HEIGHT, fps)
    try:
        for number in range(frames):
            image = np.full((HEIGHT, WIDTH, 3), number % 200, np.uint8)
            writer.write(image, number / fps)
    finally:
        writer.close()
    return path


def resident_bytes() -> int:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
