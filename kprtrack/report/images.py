"""The images of the report, read from the videos and encoded so that the page stays small."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kprtrack.rendering.contact_sheet import HEIGHT_PX, Place, crop_person, thumbnails
from kprtrack.rendering.draw import draw_tracks
from kprtrack.report.results import ReportedResult
from kprtrack.report.risks import Risk
from kprtrack.report.sightings import Sighting
from kprtrack.selection.people import rows_of
from kprtrack.video.stills import FrameReader, to_jpeg

MOST_BYTES = 7_000_000  # of all images of people in the page
_AT_ONCE = 16  # images between two steps of the progress bar
# Quality and height of the images, in turn until they fit.
_SIZES = ((82, HEIGHT_PX), (68, HEIGHT_PX), (60, 112), (50, 80), (40, 48))
_RISK_PX = 260  # height of an image of a risky moment, which is shown smaller


@dataclass(frozen=True)
class PageImage:
    """An image in the page.

    Args:
        data: As JPEG.
        width: Pixels at which it is shown.
        height: As the width.
    """

    data: bytes
    width: int
    height: int

    @property
    def address(self) -> str:
        """The image as a data URI."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.data).decode()}"


def people_images(
    reader: FrameReader, sightings: Sequence[Sighting], advance: Callable[[int], None]
) -> list[np.ndarray]:
    """Read the images of people of one video.

    Args:
        reader: Of the video.
        sightings: Those in this video.
        advance: Is called with the number of images that were read.

    Returns:
        [H, W, 3] uint8 RGB for each sighting.

    Raises:
        InputError: The video has no such frame.
    """
    images: dict[int, np.ndarray] = {}
    order = sorted(range(len(sightings)), key=lambda index: sightings[index].place.frame)
    for start in range(0, len(order), _AT_ONCE):
        batch = order[start : start + _AT_ONCE]
        found = thumbnails(reader, [sightings[index].place for index in batch])
        images.update(zip(batch, found, strict=True))
        advance(len(batch))
    return [images[index] for index in range(len(sightings))]


def risk_images(
    reader: FrameReader, result: ReportedResult, risks: Sequence[Risk], advance: Callable[[int], None]
) -> list[list[PageImage]]:
    """Read the images of risky moments of one video, with boxes and skeletons of the people concerned.

    Args:
        reader: Of the video.
        result: The result.
        risks: The moments.
        advance: Is called with the number of images that were read.

    Returns:
        The images of each moment: one, or two where a gap is between them.

    Raises:
        InputError: The video has no such frame.
    """
    found: list[list[PageImage]] = [[] for _ in risks]
    wanted = [(place, index) for index, risk in enumerate(risks) for place in risk.places]
    for place, index in sorted(wanted, key=lambda one: (one[0].frame, one[1])):
        found[index].append(_risk_image(reader, result, risks[index], place))
        advance(1)
    return found


def _risk_image(reader: FrameReader, result: ReportedResult, risk: Risk, place: Place) -> PageImage:
    at = int(np.searchsorted(result.state.clock.numbers, place.frame))
    tracks = result.tracks.frames[at]
    concerned = rows_of(tracks, np.isin(tracks.ids, risk.moment.track_ids))
    image = reader.image(place.frame, place.time_s)
    drawn = draw_tracks(image, concerned, names=result.tracks.header.labels.drawn())
    crop = crop_person(drawn, place.box, _RISK_PX)
    return PageImage(to_jpeg(crop, quality=_SIZES[0][0]), round(crop.shape[1] * 0.7), round(_RISK_PX * 0.7))


def encoded(images: Sequence[np.ndarray], most_bytes: int = MOST_BYTES) -> list[PageImage]:
    """Encode images, smaller and coarser where there are too many.

    Args:
        images: [H, W, 3] uint8 RGB, all of one height.
        most_bytes: Of all of them in the page.

    Returns:
        The images, shown at the size that they have.
    """
    made: list[PageImage] = []
    for quality, height in _SIZES:
        made = []
        for image in images:
            width = max(round(image.shape[1] * height / image.shape[0]), 1)
            made.append(PageImage(to_jpeg(image, width, quality), width, height))
        if sum(len(image.data) for image in made) * 4 / 3 <= most_bytes:
            break
    return made
