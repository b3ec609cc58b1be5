"""Write random files of the size of PoseTrack21's val split, ground truth and results, for time measurements.

    python tools/timing/val_sized_files.py FOLDER [--sequences 170] [--seed 0]

Writes FOLDER/truth (posetrack_data, posetrack_mot), FOLDER/poses and FOLDER/boxes (results), without images:
170 sequences of 90 frames with up to 8 people. Half of the frames are annotated as in val: 30 in the middle
and every fourth. People walk, occlude each other and lack some joints; results have misses, false positives,
noise and identity switches, and some frames have no result. The same seed writes the same files.
"""

import argparse
from pathlib import Path

import numpy as np
import orjson

FRAMES, PEOPLE, WIDTH, HEIGHT = 90, 8, 1280, 720
_RESULT_ID = 100  # first ID of results, different from those of the ground truth
# Joints of a standing person in the box, in PoseTrack21's order; ears (3, 4) are never annotated.
_STANDING = np.array(
    [
        *[(0.5, 0.1), (0.5, 0.17), (0.5, 0), (0, 0), (0, 0), (0.65, 0.22), (0.35, 0.22)],
        *[(0.8, 0.36), (0.2, 0.36), (0.85, 0.5), (0.15, 0.5), (0.6, 0.52), (0.4, 0.52)],
        *[(0.62, 0.75), (0.38, 0.75), (0.62, 1), (0.38, 1)],
    ]
)
_SWING = np.array([0, 0, 0, 0, 0, 0, 0, 0.2, -0.2, 0.5, -0.5, 0, 0, -0.2, 0.2, -0.4, 0.4])  # of the width
_EARS = [3, 4]
_PAIRS = ("ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")


def main() -> None:
    """Write the files into the named folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sequences", type=int, default=170)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    write_val_sized(options.folder, sequences=options.sequences, seed=options.seed)


def write_val_sized(folder: Path, *, sequences: int = 170, seed: int = 0) -> None:
    """Write the files of `sequences` videos below `folder`."""
    for number in range(1, sequences + 1):
        _write(folder, number, np.random.default_rng((seed, number)))


def _write(folder: Path, number: int, rng: np.random.Generator) -> None:
    name = f"{number:06d}_valsized_test"
    boxes, joints, present = _walk(rng)
    detected_boxes, detected_joints, detected, ids, scores = _simulate_tracker(rng, boxes, joints, present)
    # An occluded joint is annotated half of the time.
    joints[rng.random(joints.shape[:3]) < 0.04 + 0.46 * _occluded(boxes, joints, present)] = 0
    joints[:, :, _EARS] = detected_joints[:, :, _EARS] = 0
    images = _images(name, number, rng)
    labelled = np.array([image["is_labeled"] for image in images])
    gt_ids = np.broadcast_to(np.arange(PEOPLE), present.shape)

    mot = folder / "truth" / "posetrack_mot" / "mot" / "val" / name
    _write_json(mot / "image_info.json", images)
    _write_mot(mot / "gt" / "gt.txt", boxes, present, gt_ids, np.ones(present.shape))
    _write_mot(folder / "boxes" / f"{name}.txt", detected_boxes, detected, ids, scores.mean(2))
    people = _annotations(images, present & labelled[:, None], gt_ids, boxes, joints)
    for number_of, person in enumerate(people):
        person |= {"id": images[0]["id"] * 100 + number_of, "category_id": 1}
        x, y, width, height = person["bbox"]
        person["bbox_head"] = [x + 0.35 * width, y, 0.3 * width, round(0.17 * height, 2)]
        person["person_id"] = number * PEOPLE + person["track_id"]
    content = {"images": images, "annotations": people, "categories": [_category()]}
    _write_json(folder / "truth" / "posetrack_data" / "val" / f"{name}.json", content)
    found = _annotations(images, detected, ids, detected_boxes, detected_joints)
    for person, joint_scores in zip(found, scores[detected].round(3).tolist(), strict=True):
        person["scores"] = joint_scores
    _write_json(folder / "poses" / f"{name}.json", {"images": images, "annotations": found})


def _walk(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return boxes [F, P, 4] x y w h, joints [F, P, 17, 2], and whether a person is present [F, P]."""
    height = rng.uniform(120, 360, PEOPLE)
    size = np.stack((height * rng.uniform(0.35, 0.5, PEOPLE), height), axis=1)
    step = rng.normal(0, 4, (PEOPLE, 2)) * (1, 0.2) + rng.normal(0, 1, (FRAMES, PEOPLE, 2)).cumsum(0) * 0.1
    way = rng.uniform(0, 1, (PEOPLE, 2)) * ((WIDTH, HEIGHT) - size) + step.cumsum(0)
    room = (WIDTH, HEIGHT) - size - 2
    corner = 1 + room - np.abs(way % (2 * room) - room)  # turn back at the image border
    swing = np.sin(np.arange(FRAMES)[:, None] / 4 + rng.uniform(0, 6, PEOPLE))[:, :, None] * _SWING
    place = np.stack((np.clip(_STANDING[:, 0] + 0.5 * swing, 0, 1), np.ones_like(swing) * _STANDING[:, 1]), 3)
    joints = corner[:, :, None] + place * size[:, None] + rng.normal(0, 0.5, (FRAMES, PEOPLE, 17, 2))
    boxes = np.concatenate((corner, np.broadcast_to(size, corner.shape)), axis=2)
    first, last = rng.integers(-30, 20, PEOPLE), rng.integers(70, 120, PEOPLE)
    frame = np.arange(FRAMES)[:, None]
    return boxes.round(2), joints.clip(0.01).round(2), (frame >= first) & (frame < last)


def _occluded(boxes: np.ndarray, joints: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Return [F, P, 17] whether a joint is inside the box of a person whose feet are lower in the image."""
    offset = joints[:, :, None] - boxes[:, None, :, None, :2]  # [F, P, others, 17, 2]
    inside = ((offset > 0) & (offset < boxes[:, None, :, None, 2:])).all(4)
    feet = boxes[:, :, 1] + boxes[:, :, 3]
    front = (feet[:, None, :] > feet[:, :, None]) & present[:, None, :]
    return (inside & front[..., None]).any(2)


def _simulate_tracker(
    rng: np.random.Generator, boxes: np.ndarray, joints: np.ndarray, present: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Simulate a tracker: return boxes, joints, presence, IDs and joint scores [F, P + 1, 17]."""
    occluded = _occluded(boxes, joints, present)
    detected = present & (rng.random(present.shape) > 0.03 + 0.5 * occluded.mean(2))
    # One more column for false positives.
    false_at = rng.uniform(0, 1, (FRAMES, 1, 2)) * (WIDTH - 300, HEIGHT - 300)
    false_boxes = np.concatenate((false_at, np.broadcast_to((90.0, 220.0), false_at.shape)), axis=2)
    false_joints = false_at[:, :, None] + _STANDING * (90, 220)
    boxes, joints = np.concatenate((boxes, false_boxes), 1), np.concatenate((joints, false_joints), 1)
    detected = np.concatenate((detected, rng.random((FRAMES, 1)) < 0.3), 1)
    detected[rng.random(FRAMES) < 0.002] = False
    occluded = np.concatenate((occluded, np.zeros((FRAMES, 1, 17), bool)), 1)

    head = 0.2 * boxes[..., None, 3:]  # [F, P, 1, 1] approximate head size
    spread = np.where(rng.random(occluded.shape) < 0.05 + 0.25 * occluded, 0.6, 0.08)[..., None]
    joints = joints + rng.normal(0, 1, joints.shape) * spread * head
    joints[rng.random(occluded.shape) < 0.05 + 0.2 * occluded] = 0
    boxes = boxes + rng.normal(0, 0.03, boxes.shape) * boxes[..., [2, 3, 2, 3]]
    # Some identities restart, and some pairs swap theirs permanently.
    ids = np.arange(PEOPLE + 1) + (PEOPLE + 1) * (rng.random(detected.shape) < 0.01).cumsum(0)
    for frame in np.flatnonzero(rng.random(FRAMES) < 0.03):
        a, b = rng.choice(PEOPLE, 2, replace=False)
        ids[frame:, [a, b]] = ids[frame:, [b, a]]
    scores = np.clip(0.8 - 0.3 * occluded + rng.normal(0, 0.12, occluded.shape), 0.05, 1)
    return boxes.round(2), joints.clip(0).round(2), detected, ids + _RESULT_ID, scores


def _images(name: str, number: int, rng: np.random.Generator) -> list[dict]:
    """Return one entry for each frame; every fourth sequence has an ignore region in some frames."""
    corner, start = rng.uniform(0, 1, 2) * (WIDTH - 300, HEIGHT - 300), int(rng.integers(0, FRAMES // 2))
    x, y = (corner[:, None] + np.array([(0, 260, 300, 20), (0, 10, 240, 280)])).round().tolist()
    images = []
    for frame in range(FRAMES):
        ignored = number % 4 == 0 and frame >= start
        images.append(
            {
                "is_labeled": FRAMES // 3 <= frame < FRAMES // 3 + 30 or frame % 4 == 0,
                "nframes": FRAMES,
                "frame_id": 10_000_000_000 + number * 10_000 + frame,
                "id": 10_000_000_000 + number * 10_000 + frame,
                "vid_id": f"{number:06d}",
                "frame_index": frame + 1,
                "file_name": f"images/val/{name}/{frame:06d}.jpg",
                "has_labeled_person": True,
                "ignore_regions_x": [x] if ignored else [],
                "ignore_regions_y": [y] if ignored else [],
            }
        )
    return images


def _annotations(
    images: list[dict], present: np.ndarray, ids: np.ndarray, boxes: np.ndarray, joints: np.ndarray
) -> list[dict]:
    """Return one entry for each person, frame by frame."""
    visible = (joints > 0).all(3, keepdims=True)
    keypoints = np.concatenate((joints, visible), axis=3)[present].reshape(-1, 51).tolist()
    frames = np.nonzero(present)[0]
    people = zip(frames.tolist(), ids[present].tolist(), boxes[present].tolist(), keypoints, strict=True)
    return [
        {"image_id": images[frame]["id"], "track_id": track_id, "bbox": box, "keypoints": points}
        for frame, track_id, box, points in people
    ]


def _category() -> dict:
    names = ["nose", "head_bottom", "head_top"]
    names += [f"{side}_{part}" for part in _PAIRS for side in ("left", "right")]
    return {"supercategory": "person", "id": 1, "name": "person", "keypoints": names, "skeleton": []}


def _write_mot(
    path: Path, boxes: np.ndarray, present: np.ndarray, ids: np.ndarray, scores: np.ndarray
) -> None:
    frames = np.nonzero(present)[0] + 1
    rows = zip(frames, ids[present], boxes[present].tolist(), scores[present].tolist(), strict=True)
    lines = [
        f"{frame},{track_id},{','.join(map(str, box))},{round(score, 3)},-1,-1,-1\n"
        for frame, track_id, box, score in rows
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines))


def _write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(content))


if __name__ == "__main__":
    main()
