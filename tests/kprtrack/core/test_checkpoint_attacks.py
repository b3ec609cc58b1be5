"""No checkpoint can run code: every way of naming a function in a pickle is an error."""

import argparse
import io
import os
import pickle
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from kprtrack.core.checkpoints import read_checkpoint
from kprtrack.core.errors import WeightsError

ZIP, LEGACY = True, False


def write(path: Path, content: object, *, zipped: bool = ZIP) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the old format warns when it stores a whole network
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


class Runs:
    """Pickles as a call of `function`."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


def attacks(mark: Path) -> dict[str, object]:
    """Objects that leave `mark` behind, or worse, if what they name is ever run."""
    import importlib
    import operator
    import runpy
    import subprocess

    shell, python = f"touch {mark}", f"open({str(mark)!r}, 'w')"
    return {
        "os.system": Runs(os.system, shell),
        "subprocess": Runs(subprocess.check_output, ["touch", str(mark)]),
        "exec": Runs(exec, python),
        "eval": Runs(eval, python),
        "compile": Runs(compile, python, "x", "exec"),
        "open": Runs(open, str(mark), "w"),
        "import": Runs(__import__, "antigravity"),
        "importlib": Runs(importlib.import_module, "antigravity"),
        "runpy": Runs(runpy.run_path, str(mark)),
        "attrgetter": Runs(operator.attrgetter("touch"), mark),
        "methodcaller": Runs(operator.methodcaller("touch"), mark),
        "getattr chain": Runs(getattr, Runs(__import__, "os"), "system"),
        "getattr of torch": Runs(getattr, torch.Tensor, "tofile"),
        "torch.hub": Runs(torch.hub.load, "x/y", "z"),
        "torch.load": Runs(torch.load, str(mark)),
        "torch.jit": Runs(torch.jit.load, str(mark)),
        "numpy.load": Runs(np.load, str(mark)),
        "numpy.save": Runs(np.save, str(mark), np.ones(1)),
        "numpy.fromfile": Runs(np.fromfile, str(mark)),
        "nested in a record": {"record": argparse.Namespace(inner=Runs(os.system, shell))},
        "array of objects": np.array([Runs(os.system, shell)], dtype=object),
        "a model, not weights": torch.nn.Linear(1, 1),
        "pickle in pickle": Runs(pickle.loads, pickle.dumps(Runs(os.system, shell))),
        "codec": Runs(__import__("_codecs").encode, "x", "unicode_escape"),
    }


@pytest.mark.parametrize("name", sorted(attacks(Path("nowhere"))))
@pytest.mark.parametrize("zipped", [ZIP, LEGACY], ids=["zip", "legacy"])
def test_hostile_file_runs_nothing(tmp_path: Path, name: str, zipped: bool) -> None:
    mark = tmp_path / "mark"
    content = {"state_dict": {"a": torch.ones(1)}, "extra": attacks(mark)[name]}
    write(tmp_path / "w.pth", content, zipped=zipped)
    loaded = set(sys.modules)
    with pytest.raises(WeightsError):
        read_checkpoint(tmp_path / "w.pth")
    assert not mark.exists()
    assert set(sys.modules) == loaded


def raw_zip(path: Path, program: bytes) -> Path:
    """A torch zip file whose pickle is `program`, byte for byte."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/byteorder", b"little")
    return path


@pytest.mark.parametrize(
    "program",
    [
        b"cos\nsystem\n(S'touch mark'\ntR.",
        b"(S'touch mark'\nios\nsystem\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\ntouch mark\x85R.",
        b"\x80\x04\x8c\x05numpy\x8c\x13f2py.os.system\x93\x8c\ntouch mark\x85R.",
        b"\x80\x02cmmengine\nos.system\n(S'touch mark'\ntR}\x8c\x01a\x93.",
        b"\x80\x02c__builtin__\neval\nS'1'\n\x85R.",
        b"\x80\x02\x82\x01.",
    ],
    ids=["global", "inst", "stack-global", "dotted", "record", "python-2", "extension"],
)
def test_hand_written_opcodes_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError):
        read_checkpoint(raw_zip(tmp_path / "w.pth", program))
    assert not (tmp_path / "mark").exists()


def test_a_pickle_cannot_alter_the_reader(tmp_path: Path) -> None:
    # BUILD on the function that makes tensors, then on the class of a configuration.
    poison = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}U\x09_functionNs\x86b."
    with pytest.raises(WeightsError):
        read_checkpoint(raw_zip(tmp_path / "w.pth", poison))
    path = write(tmp_path / "fine.pth", {"a": torch.ones(1)})
    assert read_checkpoint(path).tensors["a"].tolist() == [1]


def test_the_error_names_what_would_run(tmp_path: Path) -> None:
    path = write(tmp_path / "w.pth", {"state_dict": {}, "x": Runs(os.system, "true")})
    with pytest.raises(WeightsError, match=r"Refuses to open .*w\.pth: it would run (posix|nt)\.system"):
        read_checkpoint(path)


def test_pickle_bomb_is_an_error_not_a_crash(tmp_path: Path) -> None:
    deep = io.BytesIO()
    deep.write(b"\x80\x02" + b"(" * 5000 + b"l" * 5000 + b".")
    with pytest.raises(WeightsError):
        read_checkpoint(raw_zip(tmp_path / "w.pth", deep.getvalue()))
