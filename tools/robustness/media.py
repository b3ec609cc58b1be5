"""Small valid videos, images and results to be mutated: two people who walk through a grey scene."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

FRAMES, WIDTH, HEIGHT, FPS = 8, 64, 48, 10
CODECS = {
    ".mp4": "libx264",
    ".mov": "mpeg4",
    ".mkv": "libx264",
    ".ts": "libx264",
    ".avi": "mpeg4",
    ".webm": "libvpx",
    ".mpg": "mpeg2video",
}
ANIMATIONS = (".gif", ".webp", ".png", ".tiff")
STILLS = (".jpg", ".png", ".bmp", ".tiff", ".webp")


def boxes_of(number: int) -> np.ndarray:
    """Return the two boxes of a frame, [2, 4] x1 y1 x2 y2 in pixels."""
    shift = np.array([1, 0, 1, 0], np.float64) * number
    return np.array([[2, 4, 14, 40], [32, 4, 44, 40]], np.float64) + shift


def image_of(number: int, *, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Draw a frame, [H, W, 3] uint8 RGB, at any size."""
    image = np.full((height, width, 3), 96, np.uint8)
    scale = np.array([width / WIDTH, height / HEIGHT] * 2)
    for box, colour in zip(boxes_of(number) * scale, ((200, 40, 40), (40, 40, 200)), strict=True):
        x1, y1, x2, y2 = box.astype(int)
        image[y1:y2, x1:x2] = colour
        image[y1 : y1 + (y2 - y1) // 3, x1:x2] = colour[::-1]
    image[-6:, : 4 + 4 * (number % 15)] = 255
    return image


def write_video(path: Path, frames: int = FRAMES, fps: int = FPS) -> None:
    """Write the scene with the codec of the suffix."""
    import av

    codec = CODECS[path.suffix]
    rate = 25 if codec == "mpeg2video" else fps
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image_of(number), format="rgb24")))
        container.mux(stream.encode(None))


def write_animation(path: Path) -> None:
    """Write the scene as an animated image."""
    from PIL import Image

    first, *others = [Image.fromarray(image_of(number)) for number in range(FRAMES)]
    first.save(path, save_all=True, append_images=others, duration=1000 // FPS)


def write_image(path: Path, number: int = 0, *, width: int = WIDTH, height: int = HEIGHT) -> None:
    """Write one frame; its folder is made."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image_of(number, width=width, height=height)).save(path)


def keypoints_of(box: np.ndarray) -> np.ndarray:
    """Return [17, 3] x y confidence within a box."""
    across, down = np.linspace(0.2, 0.8, 17), np.linspace(0.05, 0.95, 17)
    x, y = box[0] + across * (box[2] - box[0]), box[1] + down * (box[3] - box[1])
    return np.stack([x, y, np.full(17, 0.9)], axis=1)


def coco_document(
    folder: str = "",
    *,
    count: int = FRAMES,
    suffix: str = ".png",
    scale: float = 1.0,
    images: Sequence[dict[str, object]] | None = None,
) -> dict[str, object]:
    """Describe the scene as COCO keypoints with track ids; image i is file i of the folder."""
    annotations: list[dict[str, object]] = []
    for number in range(count):
        for person, box in enumerate(boxes_of(number) * scale):
            x, y, right, bottom = box.tolist()
            points = keypoints_of(box)
            points[:, 2] = 2
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number + 1,
                    "category_id": 1,
                    "track_id": person + 1,
                    "bbox": [x, y, right - x, bottom - y],
                    "area": (right - x) * (bottom - y),
                    "iscrowd": 0,
                    "num_keypoints": 17,
                    "keypoints": points.ravel().tolist(),
                }
            )
    from kprtrack.core.skeleton import KEYPOINTS

    return {
        "images": images
        or [
            {
                "id": number + 1,
                "file_name": f"{folder}{number}{suffix}",
                "width": int(WIDTH * scale),
                "height": int(HEIGHT * scale),
            }
            for number in range(count)
        ],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "keypoints": list(KEYPOINTS)}],
    }


def write_json(path: Path, document: object) -> None:
    """Write a JSON document; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def write_tracks(path: Path, format: str | None = None) -> None:
    """Write the scene as a result file in any format."""
    from kprtrack.core.datatypes import Tracks
    from kprtrack.io import RunHeader, open_writer

    video: dict[str, object] = {"path": "video.mp4", "width": WIDTH, "height": HEIGHT, "fps": float(FPS)}
    header = RunHeader(video | {"frames": FRAMES}, {}, {"stride": 1})
    with open_writer(path, header, format) as writer:
        for number in range(FRAMES):
            boxes = boxes_of(number)
            points = np.stack([keypoints_of(box) for box in boxes])
            writer.write(
                Tracks(
                    frame_number=number,
                    time_s=number / FPS,
                    ids=np.array([1, 2], np.int64),
                    boxes=boxes.astype(np.float32),
                    scores=np.array([0.9, 0.8], np.float32),
                    keypoints=points.astype(np.float32),
                    distances=np.array([0.1, np.nan], np.float32),
                    margins=np.array([0.2, np.nan], np.float32),
                    visible=np.ones((2, 2), bool),
                    prompted=np.array([True, False]),
                )
            )


def write_observations(path: Path) -> None:
    """Write observations of the scene, with embeddings of two parts."""
    from kprtrack.core.appearance import Appearance
    from kprtrack.core.datatypes import Detections, Observation, Poses
    from kprtrack.io import RunHeader, write_observations

    video: dict[str, object] = {"path": "video.mp4", "width": WIDTH, "height": HEIGHT, "fps": float(FPS)}
    features = np.eye(2, 8, dtype=np.float32).reshape(2, 2, 4)
    appearance = Appearance(features, np.ones((2, 2), bool), np.array([True, False]))
    observations = []
    for number in range(FRAMES):
        boxes = boxes_of(number)
        points = np.stack([keypoints_of(box) for box in boxes]).astype(np.float32)
        detections = Detections(boxes.astype(np.float32), np.array([0.9, 0.8], np.float32))
        observations.append(Observation(number, number / FPS, detections, Poses(points), appearance))
    write_observations(path, RunHeader(video | {"frames": FRAMES}, {}, {"stride": 1}), observations)
