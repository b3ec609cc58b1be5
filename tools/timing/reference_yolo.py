"""YOLO11n-pose with ByteTrack as ultralytics runs them, on the first frames of a video, to be timed.

    ENV/bin/python tools/timing/reference_yolo.py VIDEO FRAMES

It runs in an environment of its own with ultralytics (AGPL-3.0). The network is built from its architecture
and has random weights, so that nothing is downloaded.
"""

import sys
from itertools import islice


def main() -> None:
    """Track FRAMES frames of VIDEO."""
    from ultralytics import YOLO

    video, frames = sys.argv[1], int(sys.argv[2])
    results = YOLO("yolo11n-pose.yaml").track(
        video, imgsz=640, tracker="bytetrack.yaml", stream=True, verbose=False, device="cpu"
    )
    found = sum(1 for _ in islice(results, frames))
    if found != frames:
        raise SystemExit(f"{video} has {found} frames, not {frames}.")


if __name__ == "__main__":
    main()
