"""Checkpoints of every kind are read, and none can run code."""

import argparse
import collections
import pickle
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from kprtrack.core.checkpoints import read_checkpoint
from kprtrack.core.errors import WeightsError

ZIP, LEGACY = True, False
FORMATS = pytest.mark.parametrize("zipped", [ZIP, LEGACY], ids=["zip", "legacy"])


def write(path: Path, content: object, *, zipped: bool = ZIP) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def weights() -> dict[str, torch.Tensor]:
    return {
        "plain": torch.randn(3, 4),
        "view": torch.randn(5, 6).t(),
        "half": torch.randn(4).half(),
        "brain": torch.randn(4).bfloat16(),
        "count": torch.tensor(7),
        "empty": torch.zeros(0),
        "trainable": torch.nn.Parameter(torch.ones(2)),
    }


@FORMATS
@pytest.mark.parametrize("wrapper", ["state_dict", "model", "teacher", None])
def test_tensors_are_found_under_every_usual_name(tmp_path: Path, wrapper: str | None, zipped: bool) -> None:
    tensors = weights()
    content = {wrapper: collections.OrderedDict(tensors), "epoch": 3} if wrapper else tensors
    read = read_checkpoint(write(tmp_path / "w.pth", content, zipped=zipped))
    assert list(read.tensors) == list(tensors)
    for name, tensor in tensors.items():
        wanted = tensor.float() if name == "brain" else tensor  # numpy has no bfloat16
        assert torch.equal(torch.from_numpy(read.tensors[name]), wanted.detach())
        assert torch.from_numpy(read.tensors[name]).dtype == wanted.dtype
    assert read.meta == ({"epoch": 3} if wrapper else {})


@FORMATS
def test_tensors_may_share_memory(tmp_path: Path, zipped: bool) -> None:
    whole = torch.arange(6.0)
    read = read_checkpoint(write(tmp_path / "w.pth", {"whole": whole, "end": whole[4:]}, zipped=zipped))
    assert read.tensors["end"].tolist() == [4, 5]


def test_data_parallel_prefix_is_removed(tmp_path: Path) -> None:
    path = write(tmp_path / "w.pth.tar", {"state_dict": {"module.a": torch.ones(1), "b": torch.ones(1)}})
    assert list(read_checkpoint(path).tensors) == ["a", "b"]


@FORMATS
def test_plain_values_beside_the_weights_are_kept(tmp_path: Path, zipped: bool) -> None:
    content = {
        "state_dict": {"a": torch.ones(1)},
        "rank1": np.float64(92.5),
        "counts": np.arange(6).reshape(2, 3),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "names": {"x"},
        "raw": b"\xff\x00",
        "options": argparse.Namespace(lr=0.1),
        "optimizer": {"state": torch.ones(5)},
    }
    meta = read_checkpoint(write(tmp_path / "w.pth", content, zipped=zipped)).meta
    assert meta["rank1"] == 92.5
    assert meta["counts"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert meta["columns"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (meta["names"], meta["raw"], meta["options"]) == (["x"], b"\xff\x00", {"lr": 0.1})
    assert "optimizer" not in meta


class Runs:
    """Pickles as a call of `function`."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


def fake_module(
    monkeypatch: pytest.MonkeyPatch, module: str, name: str, bases: tuple[type, ...] = ()
) -> type:
    """A class that pickles as module.name and is gone again when the file is read."""
    made = type(name, bases, {"__module__": module})
    for depth in range(1, module.count(".") + 2):
        part = ".".join(module.split(".")[:depth])
        monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
    setattr(sys.modules[module], name, made)
    return made


@FORMATS
def test_yacs_configuration_becomes_a_dict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    node = fake_module(monkeypatch, "yacs.config", "CfgNode", (dict,))
    config = node(data=node(height=384))
    config.__dict__["__immutable__"] = True
    path = write(tmp_path / "w.pth", {"state_dict": {"a": torch.ones(1)}, "config": config}, zipped=zipped)
    monkeypatch.undo()
    assert read_checkpoint(path).meta["config"] == {"data": {"height": 384}}


def test_mmengine_history_becomes_its_plain_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = fake_module(monkeypatch, "mmengine.logging.history_buffer", "HistoryBuffer")
    history = kind()
    # mmengine's histories hold their own methods, which pickle as getattr(HistoryBuffer, "mean").
    vars(history).update(log=np.ones(2), methods={"mean": Runs(getattr, kind, "mean")})
    path = write(tmp_path / "w.pth", {"state_dict": {"a": torch.ones(1)}, "message_hub": history})
    monkeypatch.undo()
    loaded = set(sys.modules)
    assert read_checkpoint(path).meta["message_hub"]["log"].tolist() == [1, 1]
    assert not {name for name in set(sys.modules) - loaded if name.startswith("mmengine")}


def test_safetensors_of_every_number_type_are_read(tmp_path: Path) -> None:
    tensors = {
        **{str(dtype): torch.arange(6).reshape(2, 3).to(dtype) for dtype in (torch.float64, torch.float32)},
        **{str(dtype): torch.arange(6).reshape(2, 3).to(dtype) for dtype in (torch.float16, torch.bfloat16)},
        **{str(dtype): torch.arange(6).to(dtype) for dtype in (torch.int64, torch.uint8, torch.bool)},
        "special": torch.tensor([torch.inf, -torch.inf, torch.nan, 1e-40, -0.0]).bfloat16(),
        "scalar": torch.tensor(2.5).bfloat16(),
        "empty": torch.zeros(0, 3).bfloat16(),
    }
    save_file(tensors, tmp_path / "w.safetensors")
    read = read_checkpoint(tmp_path / "w.safetensors").tensors
    assert set(read) == set(tensors)
    for name, tensor in tensors.items():
        wanted = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
        found = torch.from_numpy(read[name])
        assert found.dtype == wanted.dtype and found.shape == wanted.shape
        assert found.numpy().tobytes() == wanted.numpy().tobytes()


def test_a_number_type_that_numpy_lacks_is_an_error(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2).to(torch.float8_e4m3fn)}, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="F8_E4M3"):
        read_checkpoint(tmp_path / "w.safetensors")


@FORMATS
def test_strides_and_offsets_are_those_of_the_tensors(tmp_path: Path, zipped: bool) -> None:
    whole = torch.arange(24.0).reshape(2, 3, 4)
    tensors = {
        "permuted": whole.permute(2, 0, 1),
        "every_second": whole[:, ::2, 1:],
        "expanded": whole[0, 0, :1].expand(5),
        "scalar": whole[1, 2, 3],
        "bfloat16": whole.bfloat16()[1].t(),
    }
    read = read_checkpoint(write(tmp_path / "w.pth", tensors, zipped=zipped)).tensors
    for name, tensor in tensors.items():
        assert read[name].shape == tuple(tensor.shape)
        assert read[name].tolist() == tensor.tolist()


def test_safetensors_header_is_kept(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "w.safetensors", {"kind": "x"})
    read = read_checkpoint(tmp_path / "w.safetensors")
    assert read.tensors["a"].tolist() == [1, 1]
    assert read.meta == {"kind": "x"}


def test_a_safetensors_header_of_any_length_is_no_pickle(tmp_path: Path) -> None:
    lengths = set()
    for spare in range(0, 256, 8):
        path = tmp_path / f"{spare}.safetensors"
        save_file({"a": torch.arange(3.0)}, path, metadata={"told": "x" * (300 + spare)})
        lengths.add(path.read_bytes()[0])
        assert read_checkpoint(path).tensors["a"].tolist() == [0, 1, 2]
    assert 0x80 in lengths  # with which a pickle begins


def test_a_tensor_view_outside_its_storage_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "w.pth", {"a": torch.ones(4)})
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in records.items():
            archive.writestr(name, content[:8] if name.endswith("data/0") else content)
    with pytest.raises(WeightsError, match="cut short or damaged"):
        read_checkpoint(path)


@FORMATS
def test_file_cut_short_says_so(tmp_path: Path, zipped: bool) -> None:
    path = write(tmp_path / "w.pth", {"a": torch.ones(1000)}, zipped=zipped)
    path.write_bytes(path.read_bytes()[:-1500])
    with pytest.raises(WeightsError, match="cut short or damaged"):
        read_checkpoint(path)


def test_safetensors_cut_short_says_so(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1000)}, tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes((tmp_path / "w.safetensors").read_bytes()[:-100])
    with pytest.raises(WeightsError, match="cut short or damaged"):
        read_checkpoint(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>sign in</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git-lfs pointer"),
        (b"not found\n", "it is text, starting with 'not found"),
        (b"\x00\x01\x02\xff" * 20, "neither a safetensors file"),
        (pickle.dumps([1, 2], 2), "no torch checkpoint|cut short or damaged"),
    ],
)
def test_other_files_are_named_for_what_they_are(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=said):
        read_checkpoint(tmp_path / "w.pth")


def test_missing_file_and_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="No weights at"):
        read_checkpoint(tmp_path / "nothing.pth")
    with pytest.raises(WeightsError, match="No weights at"):
        read_checkpoint(tmp_path / ("x" * 300))  # longer than any file system allows
    with pytest.raises(WeightsError, match="is not a file"):
        read_checkpoint(tmp_path)


def test_torchscript_and_other_zip_files_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "program.pt", "w") as archive:
        archive.writestr("program/data.pkl", b"N.")
        archive.writestr("program/constants.pkl", b"N.")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("a.jpg", b"")
    with pytest.raises(WeightsError, match="TorchScript"):
        read_checkpoint(tmp_path / "program.pt")
    with pytest.raises(WeightsError, match=r"no data\.pkl"):
        read_checkpoint(tmp_path / "photos.zip")


def test_checkpoint_without_tensors_names_its_entries(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="epoch, rank1"):
        read_checkpoint(write(tmp_path / "w.pth", {"epoch": 1, "rank1": 2}))
