"""Thumbnails are cut out of the right frame at the right place; contact sheets show all of them."""

import struct
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from support.numbered import HEIGHT, WIDTH, number_of, numbered_image
from support.review_cases import FRAMES, TICKS, make_video

from kprtrack.core.errors import InputError
from kprtrack.rendering.contact_sheet import Place, Row, contact_sheet, crop_person, thumbnails
from kprtrack.video.stills import FrameReader

WHOLE = np.array([0, 0, WIDTH, HEIGHT])


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("made") / "video.mp4")


def _shown(image: np.ndarray) -> int:
    """The number of the frame that a thumbnail of the whole image shows; its margin is 6 % of the height."""
    scale = image.shape[0] / (1.12 * HEIGHT)
    margin = 0.06 * HEIGHT
    matrix = np.array([[scale, 0, margin * scale], [0, scale, margin * scale]])
    return number_of(cv2.warpAffine(image, matrix, (WIDTH, HEIGHT), flags=cv2.WARP_INVERSE_MAP))


def test_frames_are_exact_at_a_variable_frame_rate_in_any_order(video: Path) -> None:
    numbers = [30, 2, 47, 0, 31, 13, 30]
    places = [Place(number, TICKS[number] / 100, WHOLE) for number in numbers]
    assert [_shown(image) for image in thumbnails(video, places)] == numbers


def test_pixels_are_those_that_pyav_decodes(video: Path) -> None:
    with av.open(str(video)) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    box = np.array([40, 20, 90, 95])  # 75 px and a margin of 4.5 px on both sides: 84 px
    [image] = thumbnails(video, [Place(17, TICKS[17] / 100, box)], height=84)
    expected = cv2.getRectSubPix(decoded[17], (59, 84), (64.5, 57.0))  # of the middle, in pixel centres
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 3  # another path from YUV to RGB, and half pixels


def test_a_reader_stays_open_and_an_image_folder_is_read(tmp_path: Path, video: Path) -> None:
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), numbered_image(number)[..., ::-1])
    places = [Place(number, number / 25, WHOLE) for number in (3, 1)]
    with FrameReader(tmp_path) as reader:
        assert [_shown(image) for image in thumbnails(reader, places)] == [3, 1]
        assert number_of(reader.image(2, 2 / 25)) == 2
    with pytest.raises(InputError, match="has no frame 99"):
        thumbnails(video, [Place(99, 9.9, WHOLE)])
    assert FRAMES < 99


def test_a_video_that_is_shown_rotated_is_cut_upright(video: Path, tmp_path: Path) -> None:
    data = bytearray(video.read_bytes())
    matrix = data.index(b"tkhd") + 44  # ISO 14496-12: of a track header of version 0
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    (tmp_path / "turned.mp4").write_bytes(data)
    upright = np.array([0, 0, HEIGHT, WIDTH])
    [image] = thumbnails(tmp_path / "turned.mp4", [Place(21, TICKS[21] / 100, upright)])
    # The matrix turns by 90 degrees clockwise; turned back, it shows the number.
    margin = round(0.06 * WIDTH * 160 / (1.12 * WIDTH))
    inside = np.rot90(image[margin : 160 - margin, margin : image.shape[1] - margin])
    assert number_of(cv2.resize(inside, (WIDTH, HEIGHT))) == 21


def test_outside_the_image_is_grey() -> None:
    image = np.full((100, 100, 3), 255, np.uint8)
    thumbnail = crop_person(image, np.array([80, 20, 120, 100]), height=224)
    assert thumbnail.shape == (224, 124, 3)  # 49.6 x 89.6 px of the image, of which 75.2 to 100 is inside
    assert (thumbnail[100, :60] == 255).all()
    assert (thumbnail[100, 64:] == 128).all()
    far = crop_person(image, np.array([1e9, -1e9, 2e9, 1e9]), height=40)
    assert (far == 128).all()


def test_thin_and_flat_boxes_get_thumbnails_of_bounded_width() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    assert crop_person(image, np.array([50, 0, 51, 100])).shape == (160, 72, 3)
    assert crop_person(image, np.array([0, 50, 100, 51])).shape == (160, 240, 3)
    assert crop_person(image, np.array([50, 50, 50, 50])).shape[0] == 160


def test_a_contact_sheet_has_every_image_and_text() -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    images = [np.full((160, 80, 3), colour, np.uint8) for colour in colours]
    sheet = contact_sheet([Row("Anna", images, ["0:01", "0:02", "0:03"]), Row("Zoë", images * 12)])
    for colour in colours:
        assert (sheet == colour).all(axis=2).sum() == 13 * 160 * 80
    assert sheet.shape[1] <= 1632
    assert ((sheet < 100).all(axis=2)).sum() > 50  # ink of the titles
    assert contact_sheet([]).shape == (32, 32, 3)


@pytest.mark.parametrize("title", ["Анна", "安娜", "שלום", "\U0010ffff", "A\u0301", "x" * 300])
def test_any_name_is_drawn(title: str) -> None:
    sheet = contact_sheet([Row(title, [np.full((160, 80, 3), 255, np.uint8)])])
    assert (sheet < 128).any()
    assert sheet.shape[1] <= 1632
