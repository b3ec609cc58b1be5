"""Hostile checkpoints are rejected at once: they crash nothing and take no more memory than the file.

They are read in a process of its own with little memory, which must live through all of them.
"""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from support.limited import run_limited

from kprtrack.core.checkpoints import read_checkpoint
from kprtrack.core.errors import WeightsError

# A reference to storage "0" of two float32, as torch writes it.
STORAGE = b"(\x8c\x07storagectorch\nFloatStorage\n\x8c\x010\x8c\x03cpuK\x02tQ"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
END = b"\x89ccollections\nOrderedDict\n)RtR"


def tensor(offset: bytes, size: bytes, stride: bytes, storage: bytes = STORAGE) -> bytes:
    """A dict with one tensor, whose view is given as operations."""
    return b"\x80\x02}\x8c\x01a" + REBUILD + b"(" + storage + offset + size + stride + END + b"s."


def claims(count: int) -> bytes:
    return STORAGE.replace(b"K\x02", b"\x8a\x08" + struct.pack("<q", count))


def long4(length: int, content: bytes = b"\1") -> bytes:
    return b"\x80\x02\x8b" + struct.pack("<i", length) + content + b"."


DOUBLED = b"".join(b"h" + bytes([n]) + b"h" + bytes([n]) + b"\x86q" + bytes([n + 1]) for n in range(100))
PICKLES: dict[str, bytes] = {
    "memo index of 4 billion": b"\x80\x02Nr\xff\xff\xff\xff.",
    "memo index of 200 million": b"\x80\x02]r\x00\x00\x00\x0c.",
    "memo index as text": b"Np99999999999999999999\n.",
    "unknown memo index": b"\x80\x02h\x07.",
    "lists in lists": b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".",
    "tuples in tuples": b"\x80\x02N" + b"\x85" * 1_000_000 + b".",
    "a deep tuple as a key": b"\x80\x02}N" + b"\x85" * 500_000 + b"Ns.",
    "a deep tuple in a set": b"\x80\x04\x8f(N" + b"\x85" * 500_000 + b"\x90.",
    "a deep tuple in a frozenset": b"\x80\x04(N" + b"\x85" * 500_000 + b"\x91.",
    "a deep tuple for set()": b"\x80\x02c__builtin__\nset\n]N" + b"\x85" * 500_000 + b"a\x85R.",
    "a wide tuple as a key": b"\x80\x02N\x85q\0" + DOUBLED + b"}h\x64Ns.",
    "marks": b"\x80\x02" + b"(" * 3_000_000 + b".",
    "sets": b"\x80\x04" + b"\x8f" * 4_000_000 + b".",
    "a list that holds itself": b"\x80\x02]q\0" + b"h\0a" * 50 + b".",
    "lists of lists without end": b"\x80\x02}\x8c\x01m]q\0(" + b"h\0" * 50 + b"es.",
    "no operand": b"\x80\x02a.",
    "no mark": b"\x80\x02e.",
    "no end": b"\x80\x02]",
    "nothing": b"",
    "only an end": b".",
    "whole number of 2^31 bytes": long4(2**31 - 1),
    "whole number of -1 bytes": long4(-1),
    "whole number of 100 KB": long4(100_000, b"\7" * 100_000),
    "whole number as text": b"L" + b"9" * 100_000 + b"L\n.",
    "text of 2^62 bytes": b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"x.",
    "text of 2^64 bytes": b"\x80\x04\x8d" + struct.pack("<Q", 2**64 - 1) + b"x.",
    "text of 2^31 bytes": b"\x80\x02X" + struct.pack("<I", 2**31 - 1) + b"x.",
    "bytes of 2^31 bytes": b"\x80\x04B" + struct.pack("<I", 2**31) + b"x.",
    "bytes of 2^40 bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",
    "bytearray of 2^33 bytes": b"\x80\x05\x96" + struct.pack("<Q", 2**33) + b"x.",
    "old string of -1 bytes": b"\x80\x02T" + struct.pack("<i", -1) + b"x.",
    "frame of 2^60 bytes": b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"N.",
    "half a character": b"\x80\x02}X\x03\x00\x00\x00\xed\xa0\x80Ns.",
    "buffer from outside": b"\x80\x05\x97\x98.",
    "extension": b"\x80\x02\x84\xff\xff\xff\x7f.",
    "reference as text": b"Pabc\n.",
    "encoded again and again": b"\x80\x02]c_codecs\nencode\nq\0X"
    + struct.pack("<I", 1_000_000)
    + b"x" * 1_000_000
    + b"q\1\x8c\x06latin1q\2000"
    + b"h\0h\1h\2\x86Ra" * 5000
    + b".",
    "copied again and again": b"\x80\x02]("
    + b"N" * 100_000
    + b"eq\0"
    + b"c__builtin__\nlist\nh\0\x85R" * 50_000
    + b".",
    "text of a shared list": b"\x80\x02"
    + b"N\x85q\0"
    + DOUBLED
    + b"ctorch.serialization\n_get_layout\nh\x64\x85R.",
    "keys with one hash": b"\x80\x02}("
    + b"".join(b"\x8a\x0b" + (n * (2**61 - 1)).to_bytes(11, "little") + b"N" for n in range(1, 60_000))
    + b"u.",
    "numpy of 2^40 numbers": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R(K\1\x8a\x06\0\0\0\0\0\1\x85"
    b"cnumpy\ndtype\n\x8c\x02f4\x85R\x89C\1xtb.",
    "tensor before its storage": tensor(b"K\0", b"K\2\x85", b"K\1\x85", b"N"),
    "negative offset": tensor(b"J\xff\xff\xff\xff", b"K\1\x85", b"K\1\x85"),
    "large offset": tensor(b"\x8a\x08" + struct.pack("<q", 2**62), b"K\1\x85", b"K\1\x85"),
    "negative stride": tensor(b"K\1", b"K\2\x85", b"J\xff\xff\xff\xff\x85"),
    "negative size": tensor(b"K\0", b"J\xff\xff\xff\xff\x85", b"K\1\x85"),
    "large size": tensor(b"K\0", b"K\3\x85", b"K\1\x85"),
    "size of 2^40 times the same number": tensor(b"K\0", b"\x8a\x06\0\0\0\0\0\1\x85", b"K\0\x85"),
    "size of 2^80": tensor(b"K\0", b"\x8a\x06\0\0\0\0\0\1\x8a\x06\0\0\0\0\0\1\x86", b"K\0K\0\x86"),
    "stride of another rank": tensor(b"K\0", b"K\1K\2\x86", b"K\1\x85"),
    "100 axes": tensor(b"K\0", b"(" + b"K\1" * 100 + b"t", b"(" + b"K\1" * 100 + b"t"),
    "size that is text": tensor(b"K\0", b"\x8c\x022a", b"K\1\x85"),
    "size that is a tensor": tensor(b"K\0", STORAGE, b"K\1\x85"),
    "storage of 2^40 numbers": tensor(b"K\0", b"K\2\x85", b"K\1\x85", claims(2**40)),
    "storage of -1 numbers": tensor(b"K\0", b"K\2\x85", b"K\1\x85", claims(-1)),
    "storage of 1 number": tensor(b"K\0", b"K\1\x85", b"K\1\x85", claims(1)),
    "storage elsewhere": tensor(
        b"K\0", b"K\2\x85", b"K\1\x85", STORAGE.replace(b"\x8c\x010", b"\x8c\x0c../../../etc")
    ),
    "storage of another type": b"\x80\x02}\x8c\x01a"
    + REBUILD
    + b"("
    + STORAGE
    + b"K\0K\2\x85K\1\x85"
    + END
    + b"s\x8c\x01b"
    + REBUILD
    + b"("
    + STORAGE.replace(b"Float", b"Double")
    + b"K\0K\1\x85K\1\x85"
    + END
    + b"s.",
}
FINE = tensor(b"K\0", b"K\2\x85", b"K\1\x85")


def zip_file(path: Path, program: bytes, **parts: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", program)
        archive.writestr("a/data/0", np.float32([1, 2]).tobytes())
        archive.writestr("a/version", b"3")
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def legacy_file(path: Path, program: bytes) -> Path:
    """A file of torch before 1.6: three pickles of header, the content, the keys, the numbers."""
    header = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    program = program.replace(b"K\x02tQ", b"K\x02NtQ")
    numbers = pickle.dumps(["0"], 2) + struct.pack("<q", 2) + np.float32([1, 2]).tobytes()
    path.write_bytes(b"".join(header) + program + numbers)
    return path


READ_ALL = """
from pathlib import Path
from kprtrack.core.checkpoints import read_checkpoint
from kprtrack.core.errors import WeightsError
for file in sorted(Path(sys.argv[1]).iterdir()):
    print(file.name, flush=True)
    try:
        read_checkpoint(file)
    except WeightsError as error:
        assert len(str(error).splitlines()) == 1 and len(str(error)) < 500, str(error)[:1000]
        assert str(file) in str(error)
    else:
        raise SystemExit(f"{file.name} was read")
"""


def assert_all_rejected(folder: Path) -> None:
    names = sorted(file.name for file in folder.iterdir())
    assert run_limited(READ_ALL, folder, megabytes=1200) == names


def test_the_files_that_the_hostile_ones_are_made_of_are_read(tmp_path: Path) -> None:
    for path in (zip_file(tmp_path / "a.pth", FINE), legacy_file(tmp_path / "b.pth", FINE)):
        assert read_checkpoint(path).tensors["a"].tolist() == [1, 2]
        assert torch.load(path, weights_only=False)["a"].tolist() == [1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("write", [zip_file, legacy_file])
def test_hostile_pickles_are_rejected(tmp_path: Path, write: Callable[[Path, bytes], Path]) -> None:
    for name, program in PICKLES.items():
        if write is legacy_file and len(program) > 400_000:
            continue  # both files lead to the same reader: once is enough for programs that take long
        write(tmp_path / f"{name.replace('/', ' ')}.pth", program)
    assert_all_rejected(tmp_path)


@pytest.mark.slow
def test_files_cut_anywhere_are_rejected(tmp_path: Path) -> None:
    for write in (zip_file, legacy_file):
        whole = write(tmp_path / "whole", FINE).read_bytes()
        for length in range(1, len(whole), 7):
            (tmp_path / f"{write.__name__} {length}.pth").write_bytes(whole[:length])
    (tmp_path / "whole").unlink()
    assert_all_rejected(tmp_path)


def test_zip_files_that_lie_about_their_parts_are_rejected(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "compressed.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", FINE)
        archive.writestr("a/data/0", bytes(100_000_000))
    fine = zip_file(tmp_path / "fine", FINE).read_bytes()
    (tmp_path / "fine").unlink()
    for name, offset in (
        ("stored size", 24),
        ("packed size", 20),
        ("both sizes", 20),
        ("place", 42),
        ("flags", 8),
    ):
        content = bytearray(fine)
        entry = content.index(b"PK\1\2", content.index(b"PK\1\2") + 1)  # of data/0 in the directory
        content[entry + offset : entry + offset + 4] = struct.pack("<I", 0x7FFFFFF1)
        if name == "both sizes":
            content[entry + 24 : entry + 28] = struct.pack("<I", 0x7FFFFFF1)
        (tmp_path / f"{name}.pth").write_bytes(content)
    with pytest.warns(UserWarning, match="Duplicate name"):
        zip_file(tmp_path / "twice.pth", FINE, **{"a/data/0": np.float32([1, 2]).tobytes()})
    with zipfile.ZipFile(tmp_path / "missing.pth", "w") as archive:
        archive.writestr("a/data.pkl", FINE)
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        archive.writestr("a/data.pkl", FINE)
        archive.writestr("a/data/0", bytes(1_000_000))
    (tmp_path / "overlapping.pth").write_bytes(_overlapping(many.getvalue(), 3000))
    assert_all_rejected(tmp_path)


def _overlapping(content: bytes, count: int) -> bytes:
    """A zip file whose directory lists its second part `count` times, under other names."""
    first = content.index(b"PK\1\2")
    second = content.index(b"PK\1\2", first + 1)
    end = content.rindex(b"PK\5\6")
    entries = [content[first:second]]
    entries += [content[second:end].replace(b"a/data/0", b"a/%06d" % number) for number in range(count)]
    directory = b"".join(entries)
    ending = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count + 1, count + 1, len(directory), first, 0)
    return content[:first] + directory + ending


def test_hostile_safetensors_are_rejected(tmp_path: Path) -> None:
    def file(name: str, header: str, length: int | None = None, content: bytes = bytes(8)) -> None:
        text = header.encode()
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + content)

    entry = '{"a":{"dtype":"F32","shape":%s,"data_offsets":%s}}'
    file("size", entry % ("[3]", "[0,8]"))
    file("large", entry % ("[1099511627776]", "[0,4398046511104]"))
    file("overflow", entry % ("[4294967296,4294967296]", "[0,8]"))
    file("negative", entry % ("[-2]", "[0,8]"))
    file("backwards", entry % ("[2]", "[8,0]"))
    file("header", "{", 99_000_000)
    file("brackets", '{"a":' + "[" * 100_000, None)
    file("no offsets", '{"a":{"dtype":"F32","shape":[2]}}')
    assert_all_rejected(tmp_path)


def test_a_list_that_holds_itself_beside_the_weights_is_an_error_or_nothing(tmp_path: Path) -> None:
    once: list[object] = [1]
    once.append(once)
    torch.save({"state_dict": {"a": torch.ones(1)}, "log": once}, tmp_path / "once.pth")
    assert read_checkpoint(tmp_path / "once.pth").tensors["a"].tolist() == [1]
    many: list[object] = []
    many += [many] * 10
    torch.save({"state_dict": {"a": torch.ones(1)}, "log": many}, tmp_path / "many.pth")
    with pytest.raises(WeightsError, match="or a list that holds itself"):
        read_checkpoint(tmp_path / "many.pth")
