"""Draw backdrops in perspective: ground with texture and lines, sky, walls, trees."""

import cv2
import numpy as np

from eval.synthetic.patterns import Colour
from eval.synthetic.shapes import Camera

Shade = Colour | np.ndarray  # RGB


class Painter:
    """Draws the backdrop of a place."""

    def __init__(self, camera: Camera, width: int, height: int, rng: np.random.Generator) -> None:
        self.camera, self.width, self.height, self.rng = camera, width, height, rng
        # Bystanders stand on this side, the occluder on the other.
        self.side = float(rng.choice([-1, 1]))
        self.image = np.zeros((height, width, 3), np.float32)
        rows = np.arange(int(camera.horizon) + 1, height, dtype=np.float32)[:, None]
        self.ground = np.s_[height - len(rows) :, :]
        self.z = np.float32(camera.focal * camera.height_m) / (rows - np.float32(camera.horizon))  # [h, 1]
        columns = np.arange(width, dtype=np.float32)[None] - np.float32(camera.centre)
        self.x = columns * self.z / np.float32(camera.focal)  # [h, P]

    def row(self, z: float, y: float = 0.0) -> int:
        """Return the row of a point.

        Args:
            z: Depth in metres.
            y: Height above the ground in metres.

        Returns:
            The row in pixels, perhaps outside the image.
        """
        return round(self.camera.horizon + self.camera.focal * (self.camera.height_m - y) / z)

    def column(self, x: float, z: float) -> int:
        return round(self.camera.centre + self.camera.focal * x / z)

    def half_width_m(self, z: float) -> float:
        """Return the metres to each side that the backdrop covers.

        Args:
            z: Depth in metres.

        Returns:
            Metres.
        """
        return self.width / 2 * z / self.camera.focal

    def some_colour(self, brightness: tuple[float, float], saturation: float) -> Colour:
        """Return a random muted colour.

        Args:
            brightness: Least and greatest brightness, 0 to 255.
            saturation: Greatest difference of a channel from the brightness.

        Returns:
            Red, green and blue.
        """
        level = self.rng.uniform(*brightness)
        red, green, blue = (float(level + off) for off in self.rng.uniform(-saturation, saturation, 3))
        return red, green, blue

    def noise(self, height: int, width: int, cell: float) -> np.ndarray:
        """Return smooth noise.

        Args:
            height: Rows.
            width: Columns.
            cell: Size of its blobs in pixels.

        Returns:
            [height, width] float32, about -1 to 1.
        """
        shape = max(2, round(height / cell)), max(2, round(width / cell))
        coarse = self.rng.uniform(-1, 1, shape).astype(np.float32)
        return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)

    def ground_noise(self, cell_m: float) -> np.ndarray:
        """Return noise on the ground in perspective.

        Args:
            cell_m: Size of its blobs in metres.

        Returns:
            [h, P] float32.
        """
        tile = self.rng.uniform(-1, 1, (128, 128)).astype(np.float32)
        tile = cv2.GaussianBlur(np.tile(tile, (2, 2)), (3, 3), 0.8)[:128, :128] * 1.6
        across = (self.x / np.float32(cell_m)).astype(np.int32) & 127
        along = (np.broadcast_to(self.z, self.x.shape) / np.float32(cell_m)).astype(np.int32) & 127
        return tile[along, across]

    def fill_ground(self, colour: Colour, rough: float, where: np.ndarray | None = None) -> None:
        """Colour the ground, with fine and coarse grain that fades with distance.

        Args:
            colour: Red, green and blue, 0 to 255.
            rough: Strength of the grain, relative to the colour.
            where: Mask [h, P] of the ground to colour; None: all.
        """
        grain = self.ground_noise(0.05) * np.minimum(4 / self.z, 1) + self.ground_noise(0.6) * 0.8
        painted = np.array(colour, np.float32) * (1 + np.float32(rough) * grain[..., None])
        target = self.image[self.ground]
        target[...] = painted if where is None else np.where(where[..., None], painted, target)

    def ground_lines(self, value: np.ndarray, period_m: float, width_m: float) -> np.ndarray:
        """Return the coverage of the ground by parallel lines, blurred with distance.

        Args:
            value: Coordinate across the lines in metres, [h, P].
            period_m: Metres from line to line.
            width_m: Width of a line in metres.

        Returns:
            [h, P], 0 to 1.
        """
        metres_per_pixel = self.z / np.float32(self.camera.focal)
        off = np.abs(value / np.float32(period_m) - np.round(value / np.float32(period_m))) * period_m
        return np.clip((width_m / 2 + metres_per_pixel - off) / (metres_per_pixel * 2), 0, 1) * np.clip(
            width_m / metres_per_pixel, 0, 1
        )

    def sky(self, top: Colour, low: Colour, until: int, *, clouds: float) -> None:
        down = np.linspace(0, 1, max(until, 1), dtype=np.float32)[:, None, None]
        self.image[:until] = np.array(top, np.float32) * (1 - down) + np.array(low, np.float32) * down
        puffs = np.clip(self.noise(until, self.width, self.height / 6), 0, 1)
        puffs += 0.5 * np.clip(self.noise(until, self.width, self.height / 20), 0, 1)
        self.image[:until] += (puffs * clouds * down[..., 0])[..., None]

    def blob_row(self, z: float, colour: Colour, size_m: tuple[float, float], *, count: int) -> None:
        """Draw distant trees or bushes.

        Args:
            z: Depth in metres.
            colour: Red, green and blue, 0 to 255.
            size_m: Least and greatest radius in metres.
            count: Number of trees.
        """
        scale = self.camera.focal / z
        for _ in range(count):
            radius = float(self.rng.uniform(*size_m)) * scale
            x = float(self.rng.uniform(0, self.width))
            y = self.row(z) - radius * 0.8
            tint = self.rng.uniform(0.75, 1.15)
            for _ in range(14):
                dx, dy = self.rng.normal(0, 0.42, 2) * radius
                shade = tint * (1 - 0.35 * dy / radius) * self.rng.uniform(0.88, 1.1)
                shaded = tuple(float(c * shade) for c in colour)
                centre = (round(x + dx), round(y + min(dy, radius * 0.6)))
                cv2.circle(self.image, centre, max(1, round(radius * 0.45)), shaded, -1, cv2.LINE_AA)

    def box(self, x0: float, x1: float, y0: float, y1: float, z: float, colour: Shade) -> tuple[slice, slice]:
        """Fill an upright rectangle.

        Args:
            x0: Left side in metres.
            x1: Right side.
            y0: Height of the bottom in metres.
            y1: Height of the top.
            z: Depth in metres.
            colour: Red, green and blue, 0 to 255, or an array that broadcasts to the pixels.

        Returns:
            Its rows and columns in the image.
        """
        left, right = (int(np.clip(self.column(x, z), 0, self.width)) for x in (x0, x1))
        top, bottom = (int(np.clip(self.row(z, y), 0, self.height)) for y in (y1, y0))
        pixels = slice(top, bottom), slice(left, right)
        self.image[pixels] = colour
        return pixels

    def finish(self) -> np.ndarray:
        """Return the image as bytes, with slightly uneven brightness."""
        self.image *= 1 + 0.02 * self.noise(self.height, self.width, self.height / 5)[..., None]
        return np.clip(self.image, 0, 255).astype(np.uint8)
