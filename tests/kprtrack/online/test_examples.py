"""The loops of the guide, with detections of ultralytics' form and in the place of other trackers."""

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.paths import ROOT

import kprtrack

GUIDE = (ROOT / "docs" / "guides" / "own_detector.md").read_text("utf-8")
BOXES = np.array([[100, 60, 160, 220], [300, 80, 350, 230]], np.float32)


def without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the examples' trackers run without networks, which the test of all pages loads."""
    real = kprtrack.Tracker

    def make(*, fps: float = 30.0, bgr: bool = False) -> kprtrack.Tracker:
        return real(kprtrack.TrackConfig(reid="none"), fps=fps, bgr=bgr, poses=False)

    monkeypatch.setattr(kprtrack, "Tracker", make, raising=False)


def result(number: int) -> Any:
    """What the example uses of a result of ultralytics."""
    boxes = SimpleNamespace(xyxy=BOXES + number, conf=np.array([0.9, 0.8]), cls=np.zeros(2))
    image = np.zeros((240, 400, 3), np.uint8)
    return SimpleNamespace(boxes=boxes, keypoints=None, names={0: "person"}, orig_img=image)


def test_the_ultralytics_loop_follows_the_people_of_its_results(monkeypatch: pytest.MonkeyPatch) -> None:
    without_networks(monkeypatch)
    (text,) = [each for each in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL) if "def follow" in each]
    names: dict[str, Any] = {"kprtrack": kprtrack}
    exec(compile(text, "own_detector.md", "exec"), names)
    tracks = list(names["follow"](result(number) for number in range(5)))
    assert [each.ids.tolist() for each in tracks] == [[1, 2]] * 5


def test_the_loop_of_supervisions_tracker_runs_with_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop of supervision's own documentation; the line with the tracker is the only one that differs."""
    sv = pytest.importorskip("supervision")
    without_networks(monkeypatch)
    tracker = kprtrack.Tracker()
    box_annotator, trace_annotator = sv.BoxAnnotator(), sv.TraceAnnotator()
    zone = sv.LineZone(sv.Point(0, 150), sv.Point(400, 150))

    def callback(frame: np.ndarray, number: int) -> np.ndarray:
        detections = sv.Detections.from_ultralytics(_obb_less(result(number)))
        detections = tracker.update(frame, detections).to_supervision()
        zone.trigger(detections)
        labelled = box_annotator.annotate(frame.copy(), detections)
        return trace_annotator.annotate(labelled, detections)

    frames = [callback(np.zeros((240, 400, 3), np.uint8), number) for number in range(5)]
    assert frames[-1].any()


def _obb_less(found: Any) -> Any:
    """A result with what supervision's converter reads of it."""
    boxes = SimpleNamespace(
        **{name: _tensor(getattr(found.boxes, name)) for name in ("xyxy", "conf", "cls")},
        id=None,
        is_track=False,
    )
    return SimpleNamespace(boxes=boxes, obb=None, masks=None, names=found.names, orig_img=found.orig_img)


def _tensor(values: np.ndarray) -> Any:
    return SimpleNamespace(cpu=lambda: SimpleNamespace(numpy=lambda: values))
