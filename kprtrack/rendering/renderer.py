"""Make the images of a video from its frames and tracks: annotated, blurred, cropped or as a mosaic."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import numpy as np

from kprtrack.core.datatypes import Frame
from kprtrack.io.header import TrackFile
from kprtrack.pipeline import Detector
from kprtrack.rendering.blur import blur_bodies, blur_faces, uncover_faces
from kprtrack.rendering.blur_plan import BlurPlan, UnknownRegion
from kprtrack.rendering.crops import CropPath, cut, natural_size
from kprtrack.rendering.draw import Trails, draw_tracks
from kprtrack.rendering.mosaic import Mosaic
from kprtrack.rendering.options import RenderOptions
from kprtrack.rendering.people import people_of
from kprtrack.selection import EVERYONE, PeopleSelection, select_people
from kprtrack.video.inputs import VideoInfo

_UNKNOWN_S, _MOST_FRAMES = 0.2, 8  # how far before and after its frame an unknown person is blurred
View = Callable[[np.ndarray, int], np.ndarray]  # of an image and the number of its frame


class Renderer:
    """Makes one image for each frame.

    Args:
        tracks: The result.
        info: Its video.
        options: What is shown.
        detect: Finds people of unknown identity, for blur; None: without blur.

    Raises:
        UserError: A person is not there.
    """

    def __init__(
        self, tracks: TrackFile, info: VideoInfo, options: RenderOptions, detect: Detector | None
    ) -> None:
        self.size = info.width, info.height
        self._tracks = tracks
        self._info = info
        self._blur: BlurPlan | None = None
        self._detect, self._absence = detect, ""
        self._obscure = blur_faces if options.blur == "face" else blur_bodies
        people = options.people
        if options.blur is not None:
            names = tracks.header.skeleton.names
            self._blur = BlurPlan(tracks.frames, people, options.blur, fps=info.fps, names=names)
            people = EVERYONE  # it says who is blurred
        self._view = self._overlay(people)
        if options.follow is not None:
            self._view = self._followed(options.follow, options.size)
        elif options.mosaic:
            self._view = self._tiled(people, options.size or self.size)
        elif self._blur is not None:
            self._view = _unchanged

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided by uncertain identities, and when the followed person is absent."""
        notes = [self._absence] if self._absence else []
        if self._blur is not None and self._blur.also:
            ids = ", ".join(map(str, self._blur.also))
            notes.append(f"blurred as well, for they may be the same people: {ids}")
        return tuple(notes)

    def render(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, np.ndarray]]:
        """Yield each frame with its image, [H, W, 3] uint8 RGB of `size`.

        Raises:
            Exception: Whatever the frames raise; the images of all frames before are yielded first.
        """
        for frame, unknown in self._with_unknown(frames):
            image = frame.image
            if self._blur is not None:
                image = image.copy()
                self._obscure(image, [each.box for each in unknown if not each.likely])
                uncover_faces(image, frame.image, self._blur.clear_heads(frame.number))
                likely = [each.box for each in unknown if each.likely]
                self._obscure(image, [*self._blur.regions(frame.number), *likely])
            yield frame, self._view(image, frame.number)

    def _with_unknown(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, list[UnknownRegion]]]:
        """The frames, each with the unknown people of itself and of those shortly before and after.

        A detector misses people in single frames.
        """
        reach = min(round(_UNKNOWN_S * self._info.fps), _MOST_FRAMES) if self._blur is not None else 0
        near: deque[list[UnknownRegion]] = deque(maxlen=2 * reach + 1)
        held: deque[Frame] = deque()
        failure: BaseException | None = None
        try:
            for frame in frames:
                held.append(frame)
                near.append(self._unknown(frame))
                if len(held) > reach:
                    yield held.popleft(), list(chain.from_iterable(near))
        except GeneratorExit:
            raise
        except BaseException as error:  # what was read before is good
            failure = error
        while held:
            yield held.popleft(), list(chain.from_iterable(near))
            if len(near) > reach + 1:
                near.popleft()
        if failure is not None:
            raise failure

    def _unknown(self, frame: Frame) -> list[UnknownRegion]:
        if self._blur is None or self._detect is None:
            return []
        (detections,) = self._detect([frame])
        return self._blur.unknown_regions(frame.number, detections)

    def _overlay(self, people: PeopleSelection) -> View:
        frames = select_people(self._tracks.frames, people, fps=self._info.fps)
        by_frame = {tracks.frame_number: tracks for tracks in frames}
        trails = Trails()

        def draw(image: np.ndarray, number: int) -> np.ndarray:
            tracks = by_frame.get(number)
            if tracks is None:
                return image
            trails.add(tracks)
            return draw_tracks(image, tracks, trails, self._tracks.header.labels.drawn())

        return draw

    def _followed(self, track_id: int, size: tuple[int, int] | None) -> View:
        only = PeopleSelection(only=(track_id,))
        person = people_of(select_people(self._tracks.frames, only))[track_id]
        absent, image_size = len(self._tracks.frames) - len(person.numbers), self.size
        if absent:
            self._absence = (
                f"person {track_id} is absent in {absent} of {len(self._tracks.frames)} tracked frames; the"
                " crop stays where the person was, or moves to where the person comes back"
            )
        size = size or natural_size(person, image_size)
        path = CropPath(person, self._info.fps, image_size, size[0] / size[1])
        self.size = size
        return lambda image, number: cut(image, path.window(number), size)

    def _tiled(self, people: PeopleSelection, size: tuple[int, int]) -> View:
        frames = select_people(self._tracks.frames, people, fps=self._info.fps)
        mosaic = Mosaic(
            people_of(frames), self._tracks.header.labels.drawn(), self._info.fps, self.size, size
        )
        self.size = size
        return mosaic.draw


def _unchanged(image: np.ndarray, number: int) -> np.ndarray:
    return image
