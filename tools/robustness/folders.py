"""Small valid datasets, benchmarks and model folders to be mutated."""

import hashlib
import json
from pathlib import Path

import numpy as np

from robustness import media

CROP = {"width": 32, "height": 64}
FIELDS = 36
REID = {
    "folder": [
        f"p{person}/p{person}_c{camera}_{row}.jpg"
        for person in range(4)
        for camera in (1, 2)
        for row in (0, 1)
    ],
    "market1501": [
        f"{part}/{person:04}_c{camera}s1_00{row}.jpg"
        for part, people in (("bounding_box_train", (1, 2)), ("query", (3, 4)), ("bounding_box_test", (3, 4)))
        for person in people
        for camera, row in (((1, 0),) if part == "query" else ((1, 1), (2, 2)))
    ],
    "occluded_reid": [
        f"{part}/{person:03}/{person:03}_0{row}.tif"
        for part in ("occluded_body_images", "whole_body_images")
        for person in (1, 2)
        for row in (1, 2)
    ],
    "partial_reid": [
        f"{part}/{person:03}_00{row}.jpg"
        for part in ("occluded_body_images", "whole_body_images")
        for person in (1, 2)
        for row in (1, 2)
    ],
    "cuhk03": [f"{person:04}_{row:02}.png" for person in range(1, 5) for row in (1, 6)],
    "cuhk01": [f"{person:04}{row:03}.png" for person in range(1, 5) for row in (1, 3)],
}
REID["occluded_duke"] = REID["market1501"]


def write_reid(root: Path, kind: str) -> None:
    """Write a ReID dataset with keypoints and human parsing where its reader looks for them."""
    if kind == "occluded_posetrack":
        _write_occluded_posetrack(root)
        return
    from reid.datasets import open_dataset

    for row, name in enumerate(REID[kind]):
        media.write_image(root / name, row, **CROP)
    options = {"train_identities": 2} if kind.startswith("cuhk") else {}
    for row, sample in enumerate(open_dataset(kind, root, options).samples):
        if isinstance(sample.keypoints, Path):
            write_keypoints(sample.keypoints, others=row % 2)
        if sample.masks is not None:
            write_parsing(sample.masks)


def write_keypoints(path: Path, *, others: int = 0) -> None:
    """Write the skeletons of a crop in the published format."""
    box = np.array([4, 4, 28, 60], float)
    entries = [
        {"is_target": i == 0, "keypoints": media.keypoints_of(box + i).tolist()} for i in range(1 + others)
    ]
    media.write_json(path, entries)


def write_parsing(path: Path) -> None:
    """Write part labels (.png) or fields (.npy)."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        fields = np.zeros((FIELDS, 16, 8), np.float32)
        fields[3, 4:12, 2:6] = 1
        np.save(path, fields)
        return
    labels = np.zeros((64, 32), np.uint8)
    labels[8:56, 8:24] = 2
    Image.fromarray(labels).save(path)


def _write_occluded_posetrack(root: Path) -> None:
    from reid.datasets import open_dataset
    from reid.datasets.build_occluded_posetrack import build_occluded_posetrack

    for number, split in enumerate(("train", "val"), start=1):
        write_posetrack21(root, split, number, people=True)
    build_occluded_posetrack(root)
    for sample in open_dataset("occluded_posetrack", root).samples:
        write_parsing(sample.masks)  # type: ignore[arg-type]


def write_posetrack21(root: Path, split: str = "val", number: int = 1, *, people: bool = False) -> None:
    """Write one sequence of PoseTrack21 with images, poses and boxes; people: large enough for ReID crops."""
    from kprtrack.core.skeleton import POSETRACK_KEYPOINTS

    name, scale = f"{number:06}_made_test", 4 if people else 1
    first = 10_000_000_000 + number * 10_000
    images: list[dict[str, object]] = []
    rows: list[str] = []
    for frame in range(media.FRAMES):
        file = f"images/{split}/{name}/{frame:06}.jpg"
        media.write_image(root / file, frame, width=media.WIDTH * scale, height=media.HEIGHT * scale)
        images.append(
            {
                "file_name": file,
                "id": first + frame,
                "frame_id": first + frame,
                "vid_id": f"{number:06}",
                "nframes": media.FRAMES,
                "is_labeled": True,
                "has_labeled_person": True,
                "ignore_regions_x": [[1, 5, 5]],
                "ignore_regions_y": [[1, 1, 5]],
            }
        )
    document = media.coco_document(images=images, scale=scale)
    for entry in document["annotations"]:  # type: ignore[attr-defined]
        frame = entry["image_id"] - 1
        x, y, width, height = entry["bbox"]
        points = np.array(entry["keypoints"]).reshape(17, 3)
        points[3:5] = 0  # ears are never labelled
        points[:, 2] = points[:, 2] > 0
        entry |= {
            "image_id": first + frame,
            "track_id": entry["track_id"] - 1,
            "keypoints": points.ravel().tolist(),
        }
        entry |= {"person_id": 10 * number + entry["track_id"], "bbox_head": [x, y, width, height / 4]}
        rows.append(f"{frame + 1},{entry['track_id']},{x},{y},{width},{height},1,-1,-1,-1\n")
    document["categories"] = [{"id": 1, "name": "person", "keypoints": list(POSETRACK_KEYPOINTS)}]
    media.write_json(root / "posetrack_data" / split / f"{name}.json", document)
    boxes = root / "posetrack_mot" / "mot" / split / name
    media.write_json(
        boxes / "image_info.json", [{**one, "frame_index": i} for i, one in enumerate(images, 1)]
    )
    (boxes / "gt").mkdir(parents=True)
    (boxes / "gt" / "gt.txt").write_text("".join(rows))


def write_posetrack21_eval(root: Path) -> None:
    """Write a ground truth folder `gt` and results `results` with poses and `boxes`."""
    write_posetrack21(root / "gt")
    (file,) = (root / "gt" / "posetrack_data" / "val").glob("*.json")
    document = json.loads(file.read_text())
    for entry in document["annotations"]:
        entry["scores"] = [0.9] * 17
        entry["track_id"] += 1
    media.write_json(root / "results" / file.name, document)
    (root / "boxes").mkdir()
    text = (root / "gt" / "posetrack_mot" / "mot" / "val" / file.stem / "gt" / "gt.txt").read_text()
    (root / "boxes" / f"{file.stem}.txt").write_text(text)


def write_mot_eval(root: Path) -> None:
    """Write ground truth of MOTChallenge in `gt` and results in `results`."""
    sequence = root / "gt" / "S1"
    (sequence / "gt").mkdir(parents=True)
    (root / "results").mkdir()
    rows = []
    for number in range(media.FRAMES):
        for person, (x1, y1, x2, y2) in enumerate(media.boxes_of(number), start=1):
            rows.append(f"{number + 1},{person},{x1},{y1},{x2 - x1},{y2 - y1},1,1,1.0")
    (sequence / "gt" / "gt.txt").write_text("\n".join(rows) + "\n")
    info = ["[Sequence]", "name=S1", "imDir=img1", "frameRate=10", f"seqLength={media.FRAMES}", "imExt=.jpg"]
    (sequence / "seqinfo.ini").write_text("\n".join([*info, "imWidth=64", "imHeight=48", ""]))
    (root / "results" / "S1.txt").write_text("\n".join(row[: row.rindex(",")] for row in rows) + "\n")


def write_model_folder(root: Path) -> None:
    """Write a model folder with one imported file, its record and cached hashes."""
    folder = root / "home" / "models"
    folder.mkdir(parents=True)
    content = bytes(range(256)) * 8
    (folder / "mine.pth").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    media.write_json(folder / "mine.pth.json", {"name": "mine", "sha256": sha256})
    state = (folder / "mine.pth").stat()
    entry = [state.st_size, state.st_mtime_ns, sha256]
    media.write_json(folder / "hashes.json", {str((folder / "mine.pth").resolve()): entry})


def write_networks(root: Path) -> None:
    """Write untrained networks of every kind: torch, safetensors, ONNX."""
    import torch
    from safetensors.torch import save_file

    from kprtrack.detectors.yolox_network import Yolox
    from reid.model.config import KprConfig
    from reid.model.kpr import Kpr
    from reid.model.weights import save

    torch.manual_seed(0)
    yolox = Yolox("nano", 1).eval().state_dict()
    torch.save({"model": yolox, "start_epoch": 3}, root / "yolox.pth")
    torch.save({"model": yolox}, root / "yolox_old.pth", _use_new_zipfile_serialization=False)
    save_file({name: value.half() for name, value in yolox.items()}, root / "yolox.safetensors")
    shape = {
        "height": 64,
        "width": 32,
        "parts": 5,
        "prompt_groups": "cck6",
        "fused_width": 32,
        "dimensions": 8,
    }
    save(root / "kpr.safetensors", Kpr(KprConfig(backbone="swin_mini", **shape)))  # type: ignore[arg-type]
    write_onnx(root)


def write_onnx(root: Path) -> None:
    """Write an embedding network of 64 x 32 pixels and heatmaps of 256 x 192, both averages of pixels."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    opset = [helper.make_opsetid("", 17)]
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("GlobalAveragePool", ["x"], ["p"]), helper.make_node("Flatten", ["p"], ["y"])]
    pixels = value("x", TensorProto.FLOAT, ["N", 3, 64, 32])
    graph = helper.make_graph(nodes, "reid", [pixels], [value("y", TensorProto.FLOAT, ["N", 3])])
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), root / "reid.onnx")
    weights = np.zeros((17, 3, 1, 1), np.float32)
    weights[:, 0] = 1
    nodes = [
        helper.make_node("AveragePool", ["x"], ["p"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Conv", ["p", "w"], ["y"]),
    ]
    pixels, maps = (
        value(name, TensorProto.FLOAT, ["N", *shape])
        for name, shape in (("x", (3, 256, 192)), ("y", (17, 64, 48)))
    )
    graph = helper.make_graph(nodes, "pose", [pixels], [maps], [numpy_helper.from_array(weights, "w")])
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), root / "pose.onnx")
