"""What annotated videos and viewers show of tracks: the colour of each track ID, and which keypoints."""

from functools import lru_cache

import numpy as np

Colour = tuple[int, int, int]  # RGB, 0-255

MIN_CONFIDENCE = 0.3  # keypoints below are unreliable, mostly occluded

_GOLDEN = 0.618034  # steps of the golden ratio keep any number of hues distinct
# CIELAB lightness in turn, so that similar hues differ, also for colour-blind viewers.
_LIGHTNESS = (66.0, 78.0, 54.0)
_CHROMAS = range(75, 20, -3)  # strongest first


@lru_cache(maxsize=1024)
def colour_of(track_id: int) -> Colour:
    """Return the colour of a track ID: the same in every video, distinct from those of neighbouring IDs."""
    import cv2

    angle = 2 * np.pi * (track_id * _GOLDEN % 1)
    lightness = _LIGHTNESS[track_id % len(_LIGHTNESS)]
    for chroma in _CHROMAS:
        lab = np.array([[[lightness, chroma * np.cos(angle), chroma * np.sin(angle)]]], np.float32)
        rgb = cv2.cvtColor(lab, cv2.COLOR_Lab2RGB)
        # A colour outside sRGB is changed by the conversion; a paler one keeps its lightness.
        if np.abs(cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab) - lab).max() < 1:
            break
    red, green, blue = (np.clip(rgb[0, 0], 0, 1) * 255).round().astype(int).tolist()
    return red, green, blue
