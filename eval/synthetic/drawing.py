"""Draw tubes and flat images with a depth buffer, so that nearer surfaces occlude farther ones."""

from dataclasses import dataclass

import numpy as np

from eval.synthetic.patterns import PATTERNS, Paint, Surface

# Owner of a pixel: number of the person x PARTS_PER_PERSON + body part; 0 is background.
PARTS_PER_PERSON = 16

_AMBIENT = 0.56
_OUTLINE_FROM = 0.42  # a surface darkens where its normal has a smaller component to the camera


@dataclass(frozen=True)
class Tube:
    """A cone with rounded ends from `start` to `end`, in camera space."""

    start: np.ndarray  # [3] x y pixels, depth in metres
    end: np.ndarray  # [3]
    radius_start: float  # pixels
    radius_end: float
    depth_radius_m: float  # half the thickness towards the camera
    part: int
    paint: Paint
    bulge: float = 0.0  # pixels added to the radius in the middle
    blunt: tuple[float, float] = (1.0, 1.0)  # flatness of start and end; 1 is a hemisphere
    yaw: float = 0.0  # yaw of the body, rotates the pattern


@dataclass(frozen=True)
class Billboard:
    """A flat, upright image at one depth, which occludes what is behind it."""

    colour: np.ndarray  # [h, w, 3] uint8
    shape: np.ndarray  # [h, w] bool
    left: int  # pixels of the backdrop
    top: int
    depth_m: float


@dataclass(frozen=True)
class Light:
    """Direction and strength of the light."""

    direction: tuple[float, float, float]  # to the light: right, up, towards the camera; unit length
    ambient: float = _AMBIENT


@dataclass(frozen=True)
class Canvas:
    """An image with depth and owner of every pixel; the functions below draw on it in place."""

    colour: np.ndarray  # [H, W, 3] uint8
    depth_m: np.ndarray  # [H, W] float32
    owner: np.ndarray  # [H, W] uint16


def draw_tube(canvas: Canvas, tube: Tube, owner: int, light: Light) -> np.ndarray:
    """Draw a tube where it is nearer than everything drawn so far.

    Returns:
        Indices [K] into the flattened canvas of the tube's pixels, occluded or not.
    """
    hit = _tube_pixels(tube, *canvas.depth_m.shape)
    if hit is None:
        return np.zeros(0, np.int64)
    covered = pixels = hit.pixels
    depth = hit.depth_m
    nearer = depth < canvas.depth_m.ravel()[pixels]
    if not nearer.all():
        pixels, depth = pixels[nearer], depth[nearer]
        hit = TubePixels(pixels, depth, hit.along[nearer], hit.x[nearer], hit.y[nearer], hit.z[nearer])
    cos, sin = np.float32(np.cos(tube.yaw)), np.float32(np.sin(tube.yaw))
    surface = Surface(hit.along, hit.x * cos + hit.z * sin, hit.x * sin - hit.z * cos)
    colour = PATTERNS[tube.paint.pattern](tube.paint, surface)
    colour *= _shade(hit, light)[:, None]
    canvas.colour.reshape(-1, 3)[pixels] = np.minimum(colour, 255, out=colour)
    canvas.depth_m.reshape(-1)[pixels] = depth
    canvas.owner.reshape(-1)[pixels] = owner * PARTS_PER_PERSON + tube.part
    return covered


def draw_billboard(canvas: Canvas, billboard: Billboard) -> None:
    """Draw a flat image where it is nearer than everything drawn so far."""
    height, width = canvas.depth_m.shape
    tall, wide = billboard.shape.shape
    left, right = max(billboard.left, 0), min(billboard.left + wide, width)
    top, bottom = max(billboard.top, 0), min(billboard.top + tall, height)
    if left >= right or top >= bottom:
        return
    window = np.s_[top:bottom, left:right]
    own = np.s_[top - billboard.top : bottom - billboard.top, left - billboard.left : right - billboard.left]
    nearer = billboard.shape[own] & (canvas.depth_m[window] > billboard.depth_m)
    canvas.colour[window][nearer] = billboard.colour[own][nearer]
    canvas.depth_m[window][nearer] = billboard.depth_m
    canvas.owner[window][nearer] = 0


@dataclass(frozen=True)
class TubePixels:
    """The pixels of a tube and its surface there: [K] each."""

    pixels: np.ndarray  # indices into the flattened canvas
    depth_m: np.ndarray
    along: np.ndarray  # 0 to 1 between the tube's ends, beyond in the caps
    x: np.ndarray  # surface normal: to the right of the image
    y: np.ndarray  # down
    z: np.ndarray  # towards the camera


def _tube_pixels(tube: Tube, height: int, width: int) -> TubePixels | None:
    reach = max(tube.radius_start, tube.radius_end) + max(tube.bulge, 0) + 1
    (x0, y0), (x1, y1) = tube.start[:2], tube.end[:2]
    left, right = max(0, int(min(x0, x1) - reach)), min(width, int(max(x0, x1) + reach) + 2)
    top, bottom = max(0, int(min(y0, y1) - reach)), min(height, int(max(y0, y1) + reach) + 2)
    if left >= right or top >= bottom:
        return None
    axis = (tube.end - tube.start).astype(np.float32)
    length = max(float(np.hypot(axis[0], axis[1])), 1e-3)
    ax, ay = axis[0] / length, axis[1] / length
    dx = np.arange(left, right, dtype=np.float32) - np.float32(x0)
    dy = (np.arange(top, bottom, dtype=np.float32) - np.float32(y0))[:, None]
    raw = dx * ax + dy * ay
    along = np.minimum(np.maximum(raw, 0), np.float32(length))
    beyond = raw - along
    before, after = (np.float32(blunt) for blunt in tube.blunt)
    beyond *= before if before == after else np.where(raw < 0, before, after)
    across = dy * ax - dx * ay
    along /= np.float32(length)
    radius = along * np.float32(tube.radius_end - tube.radius_start)
    radius += np.float32(tube.radius_start)
    if tube.bulge:
        radius += 4 * np.float32(tube.bulge) * (along - along * along)
    found = np.flatnonzero(across * across + beyond * beyond < radius * radius)
    if not len(found):
        return None
    radius, along, across, beyond, raw = (v.ravel()[found] for v in (radius, along, across, beyond, raw))
    u, v = across / radius, beyond / radius
    z = np.sqrt(np.maximum(1 - u * u - v * v, 0))
    depth = np.float32(tube.start[2]) + along * axis[2] - np.float32(tube.depth_radius_m) * z
    rows, columns = np.divmod(found, right - left)
    pixels = (rows + top) * width + columns + left
    return TubePixels(pixels, depth, raw / np.float32(length), v * ax - u * ay, v * ay + u * ax, z)


def _shade(hit: TubePixels, light: Light) -> np.ndarray:
    """Return brightness [K]: light from one side, less from below, darker at the outline."""
    to_right, to_up, to_camera = (np.float32(v) for v in light.direction)
    facing = hit.x * to_right - hit.y * to_up + hit.z * to_camera
    shade = np.float32(light.ambient) + np.float32(1.15 - light.ambient) * np.maximum(facing, 0)
    shade -= 0.06 * hit.y
    edge = np.minimum(hit.z * np.float32(1 / _OUTLINE_FROM), 1)
    return shade * (0.55 + 0.45 * edge)
