"""Make the images of a video from its frames and tracks: annotated, blurred, cropped or as a mosaic."""

from collections.abc import Callable

import numpy as np

from kprtrack.core.datatypes import Frame
from kprtrack.io.header import TrackFile
from kprtrack.pipeline import Detector
from kprtrack.rendering.blur import blur_bodies, blur_faces
from kprtrack.rendering.blur_plan import BlurPlan
from kprtrack.rendering.crops import CropPath, cut, natural_size
from kprtrack.rendering.draw import Trails, draw_tracks
from kprtrack.rendering.mosaic import Mosaic
from kprtrack.rendering.options import RenderOptions
from kprtrack.rendering.people import people_of
from kprtrack.selection import EVERYONE, PeopleSelection, select_people
from kprtrack.video.inputs import VideoInfo

View = Callable[[np.ndarray, int], np.ndarray]  # of an image and the number of its frame


class Renderer:
    """Makes one image for each frame; call it in the order of the frames.

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
        self._faces, self._detect = options.blur == "face", detect
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
        """What was decided by uncertain identities."""
        if self._blur is None or not self._blur.also:
            return ()
        ids = ", ".join(map(str, self._blur.also))
        return (f"blurred as well, for they may be the same people: {ids}",)

    def __call__(self, frame: Frame) -> np.ndarray:
        """Return the image of a frame, [H, W, 3] uint8 RGB of `size`."""
        image = frame.image
        if self._blur is not None:
            assert self._detect is not None
            (detections,) = self._detect([frame])
            regions = self._blur.regions(frame.number, detections)
            image = image.copy()
            (blur_faces if self._faces else blur_bodies)(image, regions)
        return self._view(image, frame.number)

    def _overlay(self, people: PeopleSelection) -> View:
        frames = select_people(self._tracks.frames, people, fps=self._info.fps)
        by_frame = {tracks.frame_number: tracks for tracks in frames}
        trails = Trails()

        def draw(image: np.ndarray, number: int) -> np.ndarray:
            tracks = by_frame.get(number)
            if tracks is None:
                return image
            trails.add(tracks)
            return draw_tracks(image, tracks, trails)

        return draw

    def _followed(self, track_id: int, size: tuple[int, int] | None) -> View:
        only = PeopleSelection(only=(track_id,))
        person = people_of(select_people(self._tracks.frames, only))[track_id]
        image_size = self.size
        size = size or natural_size(person, image_size)
        path = CropPath(person, self._info.fps, image_size, size[0] / size[1])
        self.size = size
        return lambda image, number: cut(image, path.window(number), size)

    def _tiled(self, people: PeopleSelection, size: tuple[int, int]) -> View:
        frames = select_people(self._tracks.frames, people, fps=self._info.fps)
        mosaic = Mosaic(people_of(frames), self._info.fps, self.size, size)
        self.size = size
        return mosaic.draw


def _unchanged(image: np.ndarray, number: int) -> np.ndarray:
    return image
