"""A grid of tiles, each of which follows one person."""

from collections.abc import Mapping

import cv2
import numpy as np

from kprtrack.core.errors import UserError
from kprtrack.core.tables.drawing import Colour, colour_of
from kprtrack.core.tables.names import drawn_label
from kprtrack.rendering.crops import CropPath, cut
from kprtrack.rendering.moving_boxes import MovingBoxes
from kprtrack.rendering.people import Person

_LEAST_TILE_PX = 32  # width
_ASPECT = 3 / 4  # width / height of the best tile
_ABSENT = 24  # grey of the tile of an absent person
_LINE = 2  # pixels between tiles
_FONT = cv2.FONT_HERSHEY_DUPLEX


class Mosaic:
    """Draws the tiles; every person keeps one place, which is empty while the person is not there.

    Args:
        people: By track ID, in the order of the tiles.
        names: Names by track ID, written on the tiles instead of the ID.
        fps: Frames per second.
        image_size: Width and height of the image in pixels.
        size: Width and height of the grid in pixels.

    Raises:
        UserError: There are more people than tiles, or none.
    """

    def __init__(
        self,
        people: dict[int, Person],
        names: Mapping[int, str],
        fps: float,
        image_size: tuple[int, int],
        size: tuple[int, int],
    ) -> None:
        self._labels = {track_id: drawn_label(track_id, names) for track_id in people}
        if not people:
            raise UserError("--mosaic: the result has no people to show.")
        self._size = size
        self._columns, rows = _grid(len(people), size)
        self._tile = size[0] // self._columns - _LINE, size[1] // rows - _LINE
        if self._tile[0] < _LEAST_TILE_PX or self._tile[1] < _LEAST_TILE_PX:
            raise UserError(
                f"--mosaic: {len(people)} people do not fit into {size[0]}x{size[1]} pixels. Choose fewer,"
                " for example --main 9, or a larger --size."
            )
        aspect = self._tile[0] / self._tile[1]
        self._paths = {each: CropPath(person, fps, image_size, aspect) for each, person in people.items()}
        self._boxes = {
            each: MovingBoxes(person.numbers, person.boxes, fps, 0) for each, person in people.items()
        }

    def draw(self, image: np.ndarray, number: int) -> np.ndarray:
        """Return the grid [H, W, 3] of a frame; image: [H, W, 3] RGB."""
        grid = np.zeros((self._size[1], self._size[0], 3), np.uint8)
        width, height = self._tile
        for place, (track_id, path) in enumerate(self._paths.items()):
            row, column = divmod(place, self._columns)
            x, y = column * (width + _LINE), row * (height + _LINE)
            present = self._boxes[track_id].at(number) is not None
            tile = (
                cut(image, path.window(number), self._tile)
                if present
                else np.full_like(grid[:height, :width], _ABSENT)
            )
            label = self._labels[track_id], colour_of(track_id)
            grid[y : y + height, x : x + width] = _labelled(tile, *label)
        return grid


def _grid(count: int, size: tuple[int, int]) -> tuple[int, int]:
    """Columns and rows whose tiles show the largest crops of the best shape."""

    def shown(columns: int) -> float:
        rows = -(-count // columns)
        return min(size[0] / columns / _ASPECT, size[1] / rows)

    columns = max(range(1, count + 1), key=shown)
    return columns, -(-count // columns)


def _labelled(tile: np.ndarray, text: str, ink: Colour) -> np.ndarray:
    labelled = np.ascontiguousarray(tile)
    scale = max(0.4, tile.shape[0] / 500)
    (_, text_height), _ = cv2.getTextSize(text, _FONT, scale, 1)
    place = (max(3, text_height // 3), text_height + max(3, text_height // 3))
    for colour, thickness in (((0, 0, 0), 3), (ink, 1)):
        cv2.putText(labelled, text, place, _FONT, scale, colour, thickness, cv2.LINE_AA)
    return labelled
