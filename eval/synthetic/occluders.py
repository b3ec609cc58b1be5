"""Occluders in front of people: tree, pillar, advertising column, board, hedge; and complete places."""

import cv2
import numpy as np

from eval.synthetic.drawing import Billboard, Light
from eval.synthetic.painter import Painter
from eval.synthetic.places import PLACES, Place
from eval.synthetic.shapes import Camera

_OCCLUDERS = {"street": "column", "park": "tree", "hall": "pillar", "pitch": "board"}
_CROWD_DEPTH_M = {"street": 14.2, "park": 20.0, "hall": 11.9, "pitch": 14.5}
_SUN = ((-0.5, 0.55, 0.67), (0.45, 0.6, 0.66), (-0.2, 0.68, 0.7))


def make_place(name: str, camera: Camera, size: tuple[int, int], rng: np.random.Generator) -> Place:
    """Make a place.

    Args:
        name: A key of PLACES.
        camera: The camera.
        size: Width and height of the backdrop in pixels.
        rng: Random generator of the sequence.
    """
    painter = Painter(camera, *size, rng)
    PLACES[name](painter)
    light = Light(_SUN[int(rng.integers(len(_SUN)))], 0.62 if name == "hall" else 0.55)
    across = -light.direction[0] / light.direction[1]
    shadow = (0.25 * across, 0.25, 0.3) if name == "hall" else (0.8 * across, 0.55, 0.42)
    z = float(rng.uniform(4.0, 4.3))
    visible = size[0] / (2.4 * camera.focal)  # visible metres to each side at a depth of one metre
    x = -painter.side * float(rng.uniform(0.3, 0.5)) * visible * z
    far = _CROWD_DEPTH_M[name]
    crowd = painter.side * float(rng.uniform(0.6, 0.78)) * visible * far, far
    half, billboard = _occluder(_OCCLUDERS[name], painter, x, z, light)
    billboards = [billboard]
    if name in ("park", "street"):
        billboards.append(_hedge(painter, painter.side * 0.8 * visible * z, z - 0.15))
    return Place(painter.finish(), tuple(billboards), ((x, z, half),), crowd, light, shadow)


def _occluder(kind: str, p: Painter, x: float, z: float, light: Light) -> tuple[float, Billboard]:
    """Return half the width in metres, and the occluder."""
    half, height, colour = {
        "column": (0.42, 2.9, (150, 150, 140)),
        "tree": (0.3, 5.0, (104, 80, 58)),
        "pillar": (0.36, 6.0, (200, 196, 188)),
        "board": (0.62, 2.1, (40, 70, 140)),
    }[kind]
    scale = p.camera.focal / z
    wide, top, bottom = max(3, round(half * 2 * scale)), p.row(z, height), p.row(z)
    tall = bottom - max(top, 0)
    across = np.linspace(-1, 1, wide, dtype=np.float32)
    if kind == "board":
        shade = np.full(wide, 0.95, np.float32)
    else:
        facing = np.maximum(across * light.direction[0] + np.sqrt(1 - across**2) * light.direction[2], 0)
        shade = (light.ambient + 0.6 * facing) * (0.7 + 0.3 * np.minimum((1 - np.abs(across)) * 6, 1))
    image = np.array(colour, np.float32) * shade[None, :, None] * np.ones((tall, 1, 1), np.float32)
    if kind == "tree":
        image *= (1 + 0.22 * cv2.resize(p.noise(max(tall // 8, 2), wide, 3), (wide, tall)))[..., None]
    elif kind in ("column", "board"):
        _posters(p, image, shade)
    else:
        image[-round(0.25 * scale) :] *= 0.8
    shape = np.ones((tall, wide), bool)
    left = p.column(x, z) - wide // 2
    billboard = Billboard(np.clip(image, 0, 255).astype(np.uint8), shape, left, max(top, 0), z)
    _ground_shade(p, x, z, half)
    return half, _with_leaves(p, billboard, z) if kind == "tree" else billboard


def _posters(p: Painter, image: np.ndarray, shade: np.ndarray) -> None:
    tall, wide = image.shape[:2]
    for k in range(3):
        top = round(tall * (0.12 + 0.28 * k))
        for column in range(2):
            left = round(wide * (0.06 + 0.46 * column))
            area = image[top : top + round(tall * 0.25), left : left + round(wide * 0.42)]
            colour = p.some_colour((70, 235), 40)
            area[:] = np.array(colour, np.float32) * shade[None, left : left + area.shape[1], None]
            area[len(area) // 4 : len(area) // 4 + max(1, len(area) // 8)] *= 0.55
            middle = area.shape[1] // 2, round(len(area) * 0.65)
            dot = colour[2] * 0.8, colour[1] * 0.8, colour[0] * 0.8
            cv2.circle(area, middle, max(1, len(area) // 6), dot, -1, cv2.LINE_AA)


def _with_leaves(p: Painter, trunk: Billboard, z: float) -> Billboard:
    """Return the trunk with the lower part of the crown."""
    scale = p.camera.focal / z
    wide, low = round(3.4 * scale), p.row(z, 2.75)
    tall = trunk.top + len(trunk.shape)
    colour, shape = np.zeros((tall, wide, 3), np.uint8), np.zeros((tall, wide), np.uint8)
    inset = (wide - trunk.shape.shape[1]) // 2
    colour[trunk.top :, inset : inset + trunk.shape.shape[1]] = trunk.colour
    shape[trunk.top :, inset : inset + trunk.shape.shape[1]] = 1
    for _ in range(420):
        x, y = p.rng.uniform(0, wide), low - abs(p.rng.normal(0, 0.5)) * 1.2 * scale
        y -= ((x / wide - 0.5) * 2) ** 2 * -0.1 * scale
        green = p.rng.uniform(0.65, 1.25) * np.array((72, 112, 50))
        axes = tuple(max(1, round(p.rng.uniform(0.05, 0.14) * scale * k)) for k in (1.0, 0.55))
        place, angle = (round(x), round(y)), float(p.rng.uniform(0, 180))
        cv2.ellipse(colour, place, axes, angle, 0, 360, tuple(float(c) for c in green), -1)
        cv2.ellipse(shape, place, axes, angle, 0, 360, 1, -1)
    return Billboard(colour, shape.astype(bool), trunk.left - inset, 0, trunk.depth_m)


def _hedge(p: Painter, x: float, z: float) -> Billboard:
    scale = p.camera.focal / z
    wide, tall, half = round(1.5 * scale), round(0.62 * scale), 0.75
    colour = np.zeros((tall, wide, 3), np.uint8)
    shape = np.zeros((tall, wide), np.uint8)
    radius = max(2, round(0.05 * scale))
    for k in range(700):
        height = k / 700
        y = tall - radius - height * (tall - 2 * radius)
        at = round(p.rng.uniform(radius, wide - radius)), round(y)
        green = (0.55 + 0.6 * height) * p.rng.uniform(0.8, 1.15) * np.array((70, 108, 52))
        cv2.circle(colour, at, radius, tuple(float(c) for c in green), -1)
        cv2.circle(shape, at, radius, 1, -1)
    _ground_shade(p, x, z, half)
    return Billboard(colour, shape.astype(bool), p.column(x, z) - wide // 2, p.row(z) - tall, z)


def _ground_shade(p: Painter, x: float, z: float, half: float) -> None:
    """Darken the ground around the foot of an occluder."""
    off = ((p.x - x) / (half * 1.5)) ** 2 + ((p.z - z - 0.1) / 0.45) ** 2
    p.image[p.ground] *= (1 - 0.45 * np.exp(-off * 1.5))[..., None]
