"""Places: street, park, hall and pitch; drawn once per sequence."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from eval.synthetic.drawing import Billboard, Light
from eval.synthetic.painter import Painter
from eval.synthetic.patterns import Colour


@dataclass(frozen=True)
class Place:
    """A backdrop wider than the image, so that the camera can pan, with occluders and light."""

    backdrop: np.ndarray  # [H, P, 3] uint8
    billboards: tuple[Billboard, ...]
    occluders: tuple[tuple[float, float, float], ...]  # x, z, half width in metres
    crowd: tuple[float, float]  # x, z of the bystanders
    light: Light
    shadow: tuple[float, float, float]  # x and z of the shadow per metre of height; its darkness, 0 to 1


def _street(p: Painter) -> None:
    z = 15.0
    p.fill_ground((168, 164, 158), 0.05)
    joints = np.maximum(p.ground_lines(p.x, 0.9, 0.02), p.ground_lines(p.z + 0 * p.x, 0.9, 0.025))
    p.image[p.ground] *= (1 - 0.22 * joints)[..., None]
    road = (p.z > 9.8) & (p.z < 13.4) & (p.x > -1e9)
    p.fill_ground((88, 90, 94), 0.06, road)
    dashes = p.ground_lines(p.z - 11.6 + 0 * p.x, 100, 0.14) * (np.floor(p.x / 1.5) % 2 == 0)
    kerb = np.maximum(
        p.ground_lines(p.z - 9.7 + 0 * p.x, 100, 0.2), p.ground_lines(p.z - 13.5 + 0 * p.x, 100, 0.2)
    )
    for line, colour in ((dashes, 226), (kerb, 196)):
        p.image[p.ground] += (colour - p.image[p.ground]) * line[..., None]
    p.sky((116, 166, 218), (206, 222, 234), p.row(z), clouds=26)
    _houses(p, z)
    for x in (-p.side * 1.2, -p.side * 6.4):
        _car(p, x + float(p.rng.uniform(-0.4, 0.4)), 10.3)


def _houses(p: Painter, z: float) -> None:
    walls: tuple[Colour, ...] = (
        (176, 150, 124),
        (150, 104, 86),
        (196, 186, 168),
        (140, 146, 152),
        (206, 176, 128),
    )
    x = -p.half_width_m(z) - 1
    while x < p.half_width_m(z):
        wide, storeys = float(p.rng.uniform(4, 7)), int(p.rng.integers(2, 5))
        wall = walls[int(p.rng.integers(len(walls)))]
        pixels = p.box(x, x + wide, 0, storeys * 3.0 + 0.4, z, wall)
        size = p.image[pixels].shape[:2]
        if min(size) > 2:
            p.image[pixels] *= (1 + 0.05 * p.noise(size[0], size[1], 3))[..., None]
        glass = np.array((70, 86, 104), np.float32) * p.rng.uniform(0.8, 1.3)
        for storey in range(storeys):
            for k in range(int(wide // 1.6)):
                left, low = x + 0.5 + 1.6 * k, storey * 3.0 + 0.9
                p.box(left - 0.08, left + 0.98, low - 0.1, low + 1.6, z, np.array(wall, np.float32) * 1.16)
                lit = glass * p.rng.uniform(0.75, 1.35)
                p.box(left, left + 0.9, low, low + 1.5, z, lit)
        p.box(x, x + wide, 0, 0.5, z, np.array(wall, np.float32) * 0.62)
        x += wide + float(p.rng.choice([0, 0, 0.4]))


def _car(p: Painter, x: float, z: float) -> None:
    scale = p.camera.focal / z
    body = p.some_colour((50, 190), 35)
    ground, left = p.row(z), p.column(x, z)

    def shape(points: list[tuple[float, float]], colour: Colour) -> None:
        pixels = [(round((left + px * scale) * 8), round((ground - py * scale) * 8)) for px, py in points]
        cv2.fillPoly(p.image, [np.array(pixels, np.int32)], colour, cv2.LINE_AA, 3)

    shape([(-2.2, 0.0), (2.2, 0.0), (2.1, 0.14), (-2.1, 0.14)], (42, 42, 44))
    roof = [(2.05, 0.78), (1.3, 0.9), (0.8, 1.4), (-0.9, 1.42), (-1.6, 0.9), (-2.1, 0.85)]
    shape([(-2.1, 0.3), (2.1, 0.3), *roof], body)
    shape(
        [(-2.1, 0.3), (2.1, 0.3), (2.1, 0.48), (-2.1, 0.48)], (body[0] * 0.75, body[1] * 0.75, body[2] * 0.75)
    )
    for window in (
        [(-1.35, 0.9), (-0.1, 0.9), (-0.1, 1.32), (-0.8, 1.32)],
        [(0.0, 0.9), (1.05, 0.9), (0.7, 1.31), (0.0, 1.32)],
    ):
        shape(window, (62, 76, 90))
    for wheel in (-1.3, 1.3):
        centre = (round((left + wheel * scale) * 8), round((ground - 0.31 * scale) * 8))
        cv2.circle(p.image, centre, round(0.33 * scale * 8), (34, 34, 36), -1, cv2.LINE_AA, 3)
        cv2.circle(p.image, centre, round(0.17 * scale * 8), (150, 152, 156), -1, cv2.LINE_AA, 3)


def _park(p: Painter) -> None:
    p.fill_ground((104, 142, 66), 0.16)
    far = np.clip((p.z - 8) / 24, 0, 1)[..., None]
    p.image[p.ground] += (np.array((138, 164, 96), np.float32) - p.image[p.ground]) * far * 0.7
    bend = 0.35 * np.sin(p.x * 0.4) + 0.12 * p.ground_noise(1.2)
    path = np.abs(p.z - 7.2 - bend - 0.06 * p.x) < 1.3
    p.fill_ground((190, 170, 134), 0.08, path)
    p.sky((112, 168, 224), (214, 228, 232), p.row(60) + 1, clouds=30)
    for z, colour, size, count in (
        (60, (116, 142, 122), (2.5, 5.0), 44),
        (28, (78, 118, 66), (1.4, 3.0), 22),
        (19, (60, 102, 50), (0.5, 1.2), 8),
    ):
        p.blob_row(z, colour, size, count=count)


def _hall(p: Painter) -> None:
    z = 12.5
    wall = np.asarray(p.rng.choice([(206, 204, 198), (188, 198, 206), (210, 198, 180)]), np.float32)
    floor: Colour = ((176, 164, 146), (150, 152, 154), (184, 150, 110))[int(p.rng.integers(3))]
    p.fill_ground(floor, 0.03)
    tiles = np.maximum(p.ground_lines(p.x, 0.8, 0.015), p.ground_lines(p.z + 0 * p.x, 0.8, 0.018))
    chequer = (np.floor(p.x / 0.8) + np.floor(p.z / 0.8)) % 2
    p.image[p.ground] *= (1 - 0.2 * tiles - 0.05 * chequer)[..., None]
    gloss = np.exp(-((p.x % 4.8 - 2.4) ** 2)) * np.clip((p.z - 3) / 9, 0, 1)
    p.image[p.ground] += 34 * gloss[..., None]
    down = np.linspace(0.86, 1.04, p.row(z), dtype=np.float32)[:, None, None]
    p.image[: p.row(z)] = wall * down
    for k in range(-8, 9):
        x = k * 2.4
        p.box(x - 0.03, x + 0.03, 0, 6, z, wall * 0.86)
        kind = int(p.rng.integers(4))
        if kind == 0:
            p.box(x + 0.5, x + 1.6, 0, 2.2, z, wall * 0.5)
            p.box(x + 0.58, x + 1.52, 0, 2.1, z, (120, 92, 66))
        elif kind == 1:
            pixels = p.box(x + 0.4, x + 2.0, 1.0, 2.5, z, (238, 236, 230))
            colour = p.rng.uniform(60, 220, 3)
            rows, columns = p.image[pixels].shape[:2]
            inner = p.image[pixels][
                rows // 12 + 1 : -(rows // 12 + 1), columns // 12 + 1 : -(columns // 12 + 1)
            ]
            inner[:] = colour
            if min(inner.shape[:2]) > 3:
                inner *= (1 + 0.4 * p.noise(inner.shape[0], inner.shape[1], max(2, rows / 4)))[..., None]
        elif kind == 2:
            p.box(x + 0.3, x + 2.1, 0.9, 3.2, z, (196, 218, 232))
            p.box(x + 1.17, x + 1.23, 0.9, 3.2, z, (240, 240, 240))
    p.box(-60, 60, 0, 0.16, z, wall * 0.55)


def _pitch(p: Painter) -> None:
    z = 17.0
    p.fill_ground((74, 134, 62), 0.08)
    p.image[p.ground] *= np.where(np.floor(p.x / 2.5 + 0.2) % 2 == 0, 1.09, 0.93)[..., None].astype(
        np.float32
    )
    lines = np.maximum(
        p.ground_lines(p.z - 12.5 + 0 * p.x, 100, 0.14),
        p.ground_lines(p.x - 0.3 * p.z, 9, 0.12) * (p.z < 12.5),
    )
    circle = p.ground_lines(np.hypot(p.x + 1, p.z - 12.5) - 5.5, 100, 0.14) * (p.z < 12.5)
    lines = np.maximum(lines, circle)
    p.image[p.ground] += (236 - p.image[p.ground]) * (0.85 * lines)[..., None]
    bottom = p.row(z)
    seats = np.array((92, 100, 118), np.float32) * np.ones((bottom, p.width, 3), np.float32)
    people = p.rng.uniform(30, 230, (len(seats) // 5 + 1, p.width // 5 + 1, 3)).astype(np.float32)
    blurred = cv2.resize(people, (p.width, len(seats)), interpolation=cv2.INTER_LINEAR)
    p.image[:bottom] = seats * 0.55 + blurred * 0.4
    p.image[:bottom] *= np.linspace(0.7, 1, len(seats), dtype=np.float32)[:, None, None]
    x = -p.half_width_m(z) - 2
    while x < p.half_width_m(z):
        p.box(
            x,
            x + 3.9,
            0,
            0.95,
            z,
            p.some_colour((50, 210), 45),
        )
        for k in range(int(p.rng.integers(2, 5))):
            p.box(x + 0.5 + k * 0.8, x + 1.05 + k * 0.8, 0.25, 0.7, z, (240, 240, 236))
        x += 4


PLACES: dict[str, Callable[[Painter], None]] = {
    "street": _street,
    "park": _park,
    "hall": _hall,
    "pitch": _pitch,
}
