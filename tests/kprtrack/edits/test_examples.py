"""The examples of the package run."""

import doctest
from pathlib import Path

import pytest
from support import fake_run

import kprtrack
from kprtrack import edits
from kprtrack.core.tables import names
from kprtrack.edits import file, grammar


def test_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fake_run.make_video(tmp_path / "video.mp4")
    kprtrack.track_video("video.mp4", "tracks.json", networks=fake_run.NETWORKS)
    known = {"read_tracks": kprtrack.read_tracks, "Path": Path}
    texts = [edits.__doc__, edits.Edits.__doc__]
    texts += [each.__doc__ for each in (grammar.Moment, grammar.parse_edit, grammar.clock_text)]
    texts += [file.edits_path.__doc__, names.drawn_label.__doc__]
    modules = vars(grammar) | vars(file) | vars(names) | {"Edits": edits.Edits}
    report: list[str] = []
    for text in texts:
        assert text and ">>> " in text
        Path("tracks.edits.jsonl").unlink(missing_ok=True)
        test = doctest.DocTestParser().get_doctest(text, modules | known, "example", None, 0)
        doctest.DocTestRunner().run(test, out=report.append)
    assert not report, "".join(report)
