"""Mutations of zip archives, arrays, weights, images, videos and tables that know their structure."""

import io
import json
import struct
import warnings
import zipfile
import zlib
from random import Random
from typing import Any

import numpy as np

from robustness.byte_mutations import BYTES, mutate_bytes
from robustness.text_mutations import NUMBERS, TEXTS, change_node, mutate_json

_SHAPES = ((0,), (-1,), (10**6, 10**6), (2**62,), (1, 10**9), ())
_TYPES = ("<f4", "<f8", "<f2", "<i4", "<i8", "<u8", "|b1", "|u1", "<c16", "<U9", "|O", "<M8[s]", "|V8")
_HUGE = 300_000_000  # values of an array that is small only as long as it is compressed
_PIECE = bytes(8 << 20)


def mutate_array(data: bytes, rng: Random) -> bytes:
    """Change the values, the type or the shape of a `.npy` file, or only what its header claims."""
    action = rng.randrange(8)
    if action == 0:
        return mutate_bytes(data, rng)
    if action <= 2:
        size = struct.unpack("<H", data[8:10])[0]
        array = np.load(io.BytesIO(data))
        shape = rng.choice((*_SHAPES, (*array.shape, 2), array.shape[::-1]))
        kind = rng.choice((array.dtype.str, rng.choice(_TYPES)))
        order = rng.random() < 0.1
        text = f"{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {tuple(shape)}, }}"
        return data[:8] + struct.pack("<H", len(text) + 1) + text.encode() + b"\n" + data[10 + size :]
    array = np.load(io.BytesIO(data)).copy()
    if action <= 5 and array.size:
        with np.errstate(all="ignore"):
            value = rng.choice(NUMBERS)
            number = np.float64(min(max(value, -1e308), 1e308) if value == value else value)
            where: Any = rng.choice((slice(None), rng.randrange(array.size)))
            array.reshape(-1)[where] = number.astype(array.dtype)
    elif action == 6:
        kinds: tuple[Any, ...] = (np.float64, np.float16, np.int8, np.uint64, np.complex64, bool, "U3")
        array = array.astype(rng.choice(kinds))
    else:
        changes = (array[..., None], array[:0], array.reshape(-1), array[:-1], np.concatenate([array, array]))
        array = rng.choice(changes) if array.ndim else np.array([array])
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def _mutate_member(name: str, data: bytes, rng: Random) -> bytes:
    if name.endswith(".npy"):
        return mutate_array(data, rng)
    if name.endswith(".json"):
        return mutate_json(data, rng)
    if name.endswith(".pkl"):
        return mutate_pickle(data, rng)
    return mutate_bytes(data, rng)


def mutate_zip(data: bytes, rng: Random) -> bytes:
    """Change a member, remove, rename, repeat or compress members, or change bytes of the archive."""
    if rng.random() < 0.2:
        return mutate_bytes(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    method, action = zipfile.ZIP_STORED, rng.randrange(10)
    special = [i for i, (name, _) in enumerate(members) if name.endswith((".pkl", ".json"))]
    place = rng.choice(special) if special and rng.random() < 0.4 else rng.randrange(len(members))
    name, content = members[place]
    if action <= 5:
        members[place] = name, _mutate_member(name, content, rng)
    elif action == 6:
        del members[place]
    elif action == 7:
        renamed = rng.choice(("../x", "/etc/x", name + "x", name.upper(), members[0][0], "a/b/data.pkl"))
        members[place] = renamed, content
    elif action == 8:
        members.append((name, rng.choice((content, b"", bytes(100)))))
    else:
        method = zipfile.ZIP_DEFLATED
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", method, compresslevel=1) as archive:
        warnings.simplefilter("ignore")  # a repeated name
        for i, (each, content) in enumerate(members):
            if method == zipfile.ZIP_DEFLATED and i == place and name.endswith(".npy") and rng.random() < 0.2:
                _write_huge(archive, each, content)
            else:
                archive.writestr(zipfile.ZipInfo(each), content, compress_type=method)
    return out.getvalue()


def _write_huge(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Write an array of zeros that is small only as long as it is compressed."""
    array = np.load(io.BytesIO(content))
    text = str({"descr": array.dtype.str, "fortran_order": False, "shape": (_HUGE, *array.shape[1:])})
    size = _HUGE * array.dtype.itemsize * int(np.prod(array.shape[1:]))
    with archive.open(name, "w", force_zip64=True) as member:
        member.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text.encode() + b"\n")
        for _ in range(min(size // len(_PIECE), 150)):
            member.write(_PIECE)


_OPCODES = (
    *(b"cos\nsystem\n", b"\x80\x04\x8c\x02os\x8c\x06system\x93", b"(" * 100_000, b"]" * 100_000, b"R", b"b"),
    *(b"\x8b\xff\xff\xff\x7f", b"X\xff\xff\xff\x7f", b"\x8d" + b"\xff" * 8, b"r\xff\xff\xff\x7f", b"}" * 9),
    *(b"j\xff\xff\xff\x7f", b"B\xff\xff\xff\x7f", b"\x96" + b"\xff" * 7 + b"\x7f", b"\x8a\xff", b"0" * 50),
    *(b"\x94" * 1000, b"2" * 2000, b"t" * 99, b"\x85" * 50_000, b"Q", b"\x88\x51", b".", b"(i__main__\nx\n"),
)


def mutate_pickle(data: bytes, rng: Random) -> bytes:
    """Insert opcodes that name functions, claim memory or nest deeply, or change bytes."""
    if rng.random() < 0.4:
        return mutate_bytes(data, rng)
    place = rng.choice((2, max(len(data) - 1, 0), rng.randrange(len(data))))
    return data[:place] + rng.choice(_OPCODES) + data[place + rng.choice((0, 0, 1, 5)) :]


def mutate_torch(data: bytes, rng: Random) -> bytes:
    """Change a checkpoint of torch: a zip archive, or the older format, which is a row of pickles."""
    return mutate_zip(data, rng) if data[:2] == b"PK" else mutate_pickle(data, rng)


def mutate_safetensors(data: bytes, rng: Random) -> bytes:
    """Change the header of the file, the length of it, tensor values, or bytes."""
    action = rng.randrange(6)
    if action == 0:
        return mutate_bytes(data, rng)
    size = struct.unpack("<Q", data[:8])[0]
    header, body = data[8 : 8 + size], data[8 + size :]
    if action == 1:
        size = rng.choice((0, 1, size + 1, size - 1, 2**32, 2**63, 2**64 - 1, 100_000_000))
        return struct.pack("<Q", size % 2**64) + header + body
    if action == 2:
        special = struct.pack("<f", rng.choice((float("nan"), float("inf"), 3e38, 0.0)))
        start = rng.randrange(max(len(body) // 4, 1)) * 4
        count = rng.choice((1, 1, len(body) // 4))
        body = (body[:start] + special * count + body[start + 4 * count :])[: len(body)]
    else:
        document = json.loads(header)
        for _ in range(rng.choice((1, 1, 3))):
            document = change_node(document, rng)
        header = json.dumps(document).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(header)) + header + body


def mutate_png(data: bytes, rng: Random) -> bytes:
    """Change a field of a chunk of a PNG image and correct its checksum, or change bytes."""
    if data[:4] != b"\x89PNG" or rng.random() < 0.4:
        return mutate_bytes(data, rng)
    chunks, place = [], 8
    while place + 8 <= len(data):
        size = struct.unpack(">I", data[place : place + 4])[0]
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + size]))
        place += 12 + size
    index = 0 if rng.random() < 0.5 else rng.randrange(len(chunks))
    kind, content = chunks[index]
    if kind == b"IHDR":
        width, height = (rng.choice((0, 1, 7, 20_000, 2**31 - 1, 65_535)) for _ in range(2))
        content = struct.pack(">II", width, height) + content[8:]
        if rng.random() < 0.3:
            content = content[:8] + rng.randbytes(5)
    elif rng.random() < 0.5:
        content = rng.choice(BYTES)(content, rng)
    else:
        chunks.insert(index, chunks[rng.randrange(len(chunks))])
    chunks[index] = kind, content
    out = data[:8]
    for kind, content in chunks:
        out += (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )
    return out


_TABLES = b"stsz stts stsc stco ctts elst stsd stss avcC"
_BOXES = tuple((b"moov trak mdia minf stbl mvhd tkhd mdhd hdlr udta mdat ftyp " + _TABLES).split())


def mutate_mp4(data: bytes, rng: Random) -> bytes:
    """Change a box of an MP4 file: its size, its name or its first fields; or change bytes."""
    found = [place for name in _BOXES if (place := data.find(name)) > 3]
    if not found or rng.random() < 0.5:
        return mutate_bytes(data, rng)
    changed, place = bytearray(data), rng.choice(found)
    action = rng.randrange(3)
    if action == 0:
        changed[place - 4 : place] = struct.pack(">I", rng.choice((0, 1, 8, 9, 2**31, 2**32 - 1, 10**6)))
    elif action == 1:
        changed[place : place + 4] = rng.choice((b"free", b"xxxx", rng.choice(_BOXES)))
    else:
        start = place + 4 + 4 * rng.randrange(1, 24)
        value = rng.choice((0, 1, 2, 10**6, 2**31 - 1, 2**32 - 1))
        changed[start : start + 4] = struct.pack(">I", value)
    return bytes(changed)


def mutate_parquet(data: bytes, rng: Random) -> bytes:
    """Change columns, values, row order or metadata of a Parquet file, or its bytes."""
    import pyarrow
    from pyarrow import parquet

    action = rng.randrange(8)
    if action <= 1:
        return mutate_bytes(data, rng)
    table = parquet.read_table(io.BytesIO(data))
    place = rng.randrange(table.num_columns)
    name = table.column_names[place]
    if action == 2:
        table = table.drop_columns([name])
    elif action == 3:
        kind = rng.choice((pyarrow.string(), pyarrow.float64(), pyarrow.int8(), pyarrow.float16()))
        try:
            table = table.set_column(place, name, table.column(name).cast(kind, safe=False))
        except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError):
            table = table.append_column(name, table.column(name))
    elif action <= 5:
        value = rng.choice(
            (None, rng.choice(NUMBERS[:20]), float("nan"), float("inf"), rng.choice(TEXTS[:9]))
        )
        values: list[Any] = table.column(name).to_pylist()
        for row in rng.choice((range(len(values)), [rng.randrange(len(values))])):
            values[row] = value
        try:
            kind = table.schema.field(name).type if rng.random() < 0.7 else None
            table = table.set_column(place, name, pyarrow.array(values, kind))
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError):
            table = table.set_column(
                place, name, pyarrow.array([[one] for one in table.column(name).to_pylist()])
            )
    elif action == 6:
        rows = rng.choice(([*range(table.num_rows)][::-1], [0] * 2000, []))
        table = table.take(pyarrow.array(rows, pyarrow.int64()))
    else:
        metadata = dict(table.schema.metadata or {})
        changed = {key: mutate_json(value, rng) for key, value in metadata.items() if key == b"kprtrack"}
        table = table.replace_schema_metadata(metadata | changed if rng.random() < 0.8 else {})
    out = io.BytesIO()
    parquet.write_table(table, out)
    return out.getvalue()


def mutate_onnx(data: bytes, rng: Random) -> bytes:
    """Change an initialiser, a shape, an operator or an attribute of an ONNX network, or its bytes."""
    import onnx

    action = rng.randrange(8)
    if action == 0:
        return mutate_bytes(data, rng)
    model = onnx.load_model_from_string(data)
    graph = model.graph
    if action <= 2 and graph.initializer:
        tensor = rng.choice(list(graph.initializer))
        if rng.random() < 0.3:
            place = rng.choice(("../secret", "/etc/passwd", "missing.bin"))
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=place)
        elif rng.random() < 0.5 and tensor.dims:
            tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice((0, -1, 1, 10**9, 2**40))
        else:
            tensor.raw_data = rng.choice(
                (b"", tensor.raw_data[:-4], b"\x00\x00\xc0\x7f" * (len(tensor.raw_data) // 4))
            )
    elif action <= 4:
        node = rng.choice(list(graph.node))
        node.op_type = rng.choice(("PyOp", "Identity", "Loop", "If", "Relu", "GlobalMaxPool", "X" * 300, ""))
        node.domain = rng.choice((node.domain, "ai.onnx.contrib", "com.microsoft", "evil"))
    elif action == 5:
        value = rng.choice([*graph.input, *graph.output]).type.tensor_type
        value.elem_type = rng.choice((value.elem_type, 7, 10, 8, 99))
        if value.shape.dim:
            rng.choice(list(value.shape.dim)).dim_value = rng.choice((0, 1, 3, 10**6, 2**40, -5))
    elif action == 6:
        del graph.node[rng.randrange(len(graph.node))]
    else:
        del rng.choice((graph.output, graph.input, model.opset_import))[:]
        model.ir_version = rng.choice((0, 3, 8, 99, 2**31 - 1))
    return bytes(model.SerializeToString())
