"""What a video that is made from tracks shows."""

from dataclasses import dataclass
from typing import Literal

from kprtrack.core.errors import UserError, unknown_name
from kprtrack.selection import EVERYONE, PeopleSelection

Blur = Literal["face", "body"]
BLURS: tuple[Blur, ...] = ("face", "body")
LEAST_SIDE_PX, MOST_SIDE_PX = 32, 8192  # of the output


@dataclass(frozen=True)
class RenderOptions:
    """What a video made from tracks shows; by default all people with box, skeleton, track ID and trail.

    Args:
        people: Who is drawn, has a tile of the mosaic, or with `blur` is blurred.
        blur: "face" or "body": these people are made unrecognisable, and nothing is drawn on them.
        follow: The track ID of a person; the image is a crop that follows this person smoothly.
        mosaic: The image is a grid with one tile for each person.
        size: Width and height of the crop or the grid in pixels; None: by the person, or that of the video.

    Raises:
        UserError: Options that exclude each other, or a size out of range.

    Examples:
        >>> from kprtrack import PeopleSelection
        >>> RenderOptions(PeopleSelection(exclude=(2,)), blur="face").blur
        'face'
    """

    people: PeopleSelection = EVERYONE
    blur: Blur | None = None
    follow: int | None = None
    mosaic: bool = False
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.blur is not None and self.blur not in BLURS:
            raise unknown_name("kind of blur", self.blur, BLURS)
        if self.follow is not None and self.mosaic:
            raise UserError("--follow and --mosaic are two videos. Choose one of them.")
        if self.follow is not None and self.blur is None and self.people.selective:
            raise UserError(
                "--follow names the only person that is shown. Leave out the other choices of people."
            )
        if self.size is not None:
            width, height = self.size
            if self.follow is None and not self.mosaic:
                raise UserError("--size is for --follow and --mosaic. Add one of them, or leave out --size.")
            if not all(LEAST_SIDE_PX <= side <= MOST_SIDE_PX for side in self.size):
                raise UserError(
                    f"--size {width}x{height}: both sides must be {LEAST_SIDE_PX} to {MOST_SIDE_PX} pixels."
                )


ANNOTATED = RenderOptions()
