"""Files of images and annotations become columns; every error names the annotation."""

import json
from pathlib import Path

import numpy as np
import pytest

from kprtrack.core.errors import InputError
from kprtrack.core.files.coco import read_coco
from kprtrack.core.files.json_file import load_json

IMAGES = [{"id": 7}, {"id": "b"}]


def write(folder: Path, *annotations: dict[str, object], **changes: object) -> Path:
    path = folder / "a.json"
    path.write_text(json.dumps({"images": IMAGES, "annotations": annotations, **changes}))
    return path


def test_columns_follow_the_annotations_and_images(tmp_path: Path) -> None:
    later = {"image_id": "b", "track_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}
    first = {"image_id": 7, "bbox": [5, 6, 7, 8.5]}
    annotations = read_coco(write(tmp_path, later, first)).annotations
    assert annotations.images.tolist() == [1, 0]
    assert annotations.boxes().tolist() == [[1, 2, 3, 4], [5, 6, 7, 8.5]]
    assert annotations.scalars("score", default=1).tolist() == [0.5, 1]
    assert annotations.track_ids().tolist() == [3, -1]
    assert annotations.by_image().indices.tolist() == [1, 0]


def test_a_missing_list_is_the_default_and_an_empty_file_has_empty_columns(tmp_path: Path) -> None:
    annotations = read_coco(write(tmp_path, {"image_id": 7, "bbox": None})).annotations
    assert np.isnan(annotations.numbers("bbox", 4, default=np.nan)).all()
    assert read_coco(write(tmp_path)).annotations.numbers("bbox", 4).shape == (0, 4)


def test_the_place_of_an_error_is_index_id_frame_and_track(tmp_path: Path) -> None:
    path = write(tmp_path, {"id": 9, "image_id": "b", "track_id": 4, "bbox": [1, 2, 3]})
    with pytest.raises(InputError) as raised:
        read_coco(path).annotations.boxes()
    assert str(raised.value) == (
        f"{path}, annotation 0 (id 9), frame 1 (image_id b), track_id 4: "
        "bbox must be 4 numbers, not 3 numbers."
    )


def test_nan_is_read_and_then_rejected_with_its_place(tmp_path: Path) -> None:
    annotations = read_coco(write(tmp_path, {"image_id": 7, "bbox": [0, float("nan"), 1, 1]})).annotations
    with pytest.raises(InputError, match=r"annotation 0, .* bbox has nan at index 1"):
        annotations.boxes()


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert load_json(tmp_path / "a.json") == [1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b" ", "is empty"),
        (b'{"images": [', "line 1, column 13: this is not valid JSON"),
        (b"\xff\xfe\x00", "Cannot read"),
    ],
)
def test_a_file_that_is_no_json_is_an_input_error(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_json(tmp_path / "a.json")
