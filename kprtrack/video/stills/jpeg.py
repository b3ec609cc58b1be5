"""Images as JPEG."""

import numpy as np

QUALITY = 85  # of JPEG, from 0 to 100


def to_jpeg(image: np.ndarray, width: int | None = None, quality: int = QUALITY) -> bytes:
    """Encode an image as JPEG.

    Args:
        image: [H, W, 3] uint8, RGB.
        width: The most pixels of its width, to which it is scaled down; None: as it is.
        quality: From 0 to 100.

    Examples:
        >>> import numpy as np
        >>> to_jpeg(np.zeros((48, 64, 3), np.uint8))[:2].hex()  # the first bytes of every JPEG
        'ffd8'
    """
    import cv2

    if width is not None and width < image.shape[1]:
        height = max(round(image.shape[0] * width / image.shape[1]), 1)
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    data: bytes = encoded.tobytes()
    return data
