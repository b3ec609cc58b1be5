"""Mutations of JSON documents, tables and config files that keep most of the structure valid."""

import json
from random import Random
from typing import Any

from robustness.byte_mutations import mutate_bytes

_DEEP = 100_000  # levels of nesting
NUMBERS = (
    *(0, -1, 1, 2, 0.5, -0.0, 1e-300, 1e308, -1e308, 3e38, 1e7, 255, 256, 65536, 1.5),
    *(2**31 - 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**400),
    *(float("nan"), float("inf"), float("-inf")),
)
TEXTS = (
    *("", " ", "1", "1.0", "-1", "abc", "None", "true", "person", "../../x", "/etc/passwd", "x" * 5000, "é"),
    *("\x1b[31mred\x1b[0m", "a\nb", "a\x00b", "\ud800", "\u202eabc", "%s{0}", "~", "-", "CON", "1e999"),
)


def _any_value(rng: Random) -> Any:
    containers: tuple[Any, ...] = (None, True, False, [], {}, [[]], [None], {"a": 1}, [1, 2, 3, 4], [1] * 51)
    return rng.choice((rng.choice(NUMBERS), rng.choice(NUMBERS), rng.choice(TEXTS), rng.choice(containers)))


def _places(node: Any, rng: Random) -> tuple[Any, Any]:
    """Return a random container of the document and a key or index in it."""
    place: tuple[Any, Any] = (None, None)
    while isinstance(node, dict | list) and node:
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        place, node = (node, key), node[key]
        if rng.random() < 0.25:
            break
    return place


def change_node(document: Any, rng: Random) -> Any:
    """Change one value, key or list of a document in place; returns the document."""
    container, key = _places(document, rng)
    if container is None:
        return _any_value(rng)
    value, action = container[key], rng.randrange(9)
    if action <= 3:
        container[key] = _any_value(rng)
    elif action == 4:
        del container[key]
    elif action == 5 and isinstance(container, dict):
        container[rng.choice((*TEXTS, *container))] = container.pop(key)
    elif action == 5 or action == 6:
        container[key] = rng.choice(([value], {"a": value}, [value] * 1000, str(value), [[value], value]))
    elif action == 7 and isinstance(container, list):
        container.insert(rng.randint(0, len(container)), value)
    elif isinstance(container, list):
        rng.shuffle(container)
    else:
        other = rng.choice(list(container))
        container[key], container[other] = container[other], container[key]
    return document


def _dump(document: Any, indent: int | None = None) -> bytes:
    return json.dumps(document, indent=indent).encode("utf-8", "surrogatepass")


def mutate_json(data: bytes, rng: Random) -> bytes:
    """Change up to four nodes, repeat a key, nest deeply, or change bytes."""
    action = rng.randrange(12)
    if action == 0:
        return mutate_bytes(data, rng)
    if action == 1:
        return rng.choice(
            (b"[" * _DEEP, b'{"a":' * _DEEP, data[:-1] + b"," + b"[" * _DEEP + b"]" * _DEEP + b"}")
        )
    document = json.loads(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        document = change_node(document, rng)
    text = _dump(document, rng.choice((None, None, 1)))
    if action == 2:
        text = text.replace(b'": ', b'": 0, "frame": ', 1)  # a value in the place of another, a repeated key
    if action == 3:
        text = rng.choice((b"\xef\xbb\xbf" + text, text.decode("utf-8", "replace").encode("utf-16")))
    return text


def mutate_json_lines(data: bytes, rng: Random) -> bytes:
    """Change one or more lines as JSON documents, or their number and order."""
    lines = data.splitlines()
    for _ in range(rng.choice((1, 1, 2))):
        place, action = rng.randrange(len(lines)), rng.randrange(8)
        if action == 0:
            del lines[place]
        elif action == 1:
            lines.insert(place, lines[rng.randrange(len(lines))])
        elif action == 2:
            lines[place] = mutate_bytes(lines[place], rng)
        elif action == 3:
            rng.shuffle(lines)
        else:
            lines[place] = mutate_json(lines[place], rng)
        lines = lines or [b""]
    return rng.choice((b"\n", b"\n", b"\r\n")).join(lines) + rng.choice((b"\n", b"\n", b""))


def _cell(rng: Random) -> str:
    value = rng.choice((rng.choice(NUMBERS), rng.choice(NUMBERS), rng.choice(TEXTS), '"', "1;2", "1,2"))
    return f"{value:g}" if isinstance(value, float) else str(value)[:6000]


def mutate_table(data: bytes, rng: Random) -> bytes:
    """Change cells, columns, rows, delimiters or the encoding of a table; also lines `key=value`."""
    text = data.decode()
    delimiter = "," if "," in text else "="
    rows = [line.split(delimiter) for line in text.splitlines()]
    for _ in range(rng.choice((1, 1, 2, 5))):
        row, action = rng.randrange(len(rows)), rng.randrange(12)
        column = rng.randrange(len(rows[row]))
        if action <= 4:
            rows[row][column] = _cell(rng)
        elif action == 5:
            del rows[row][column]
            rows[row] = rows[row] or [""]
        elif action == 6:
            rows[row].insert(column, _cell(rng))
        elif action == 7:
            rows.insert(row, [*rows[rng.randrange(len(rows))]])
        elif action == 8 and len(rows) > 1:
            del rows[row]
        elif action == 9:
            value = _cell(rng)
            for each in rows[1:]:
                each[min(column, len(each) - 1)] = value
        elif action == 10:
            rng.shuffle(rows)
        else:
            return mutate_bytes(data, rng)
    joint = rng.choice((delimiter,) * 8 + (";", "\t", " ", delimiter + " "))
    text = rng.choice(("\n", "\n", "\n", "\r\n", "\r")).join(joint.join(row) for row in rows) + "\n"
    encoding = rng.choice(("utf-8",) * 8 + ("utf-8-sig", "utf-16", "utf-32"))
    return text.encode(encoding, "surrogatepass")


_PYTHON = (
    *("import os\nos.system('touch ran')", "x = __import__('os').system('touch ran')", "device = 10**10**10"),
    *("device = 'x' * 10**12", "tracker = dict(**{})", "tracker = dict(name='kpr', name='kpr')"),
    *("open('ran', 'w')", "_base_ = ['./config.py']", "_base_ = 'missing.py'", "_base_ = '../' * 100"),
    *("device = [0] * 10**11", "device = " + "(" * 5000 + ")" * 5000, "device = " + "-" * 9000 + "1"),
    *("for i in range(10**12): pass", "while True: pass", "custom_imports = dict(imports=['ran'])"),
    *("batch = 1 << 10**12", "batch = 1e400", "batch = 1j", "threads = -1", "device = f'{open(1)}'"),
    *("device = lambda: 1", "device = {[]: 1}", "device = {1: 2}", "tracker = {1: 2}", "device = b'cpu'"),
    *(
        "device, batch = 'cpu', 2",
        "device = None",
        "tracker = None",
        "tracker = [1]",
        "x.y = 1",
        "del device",
    ),
)
_YAML = (
    *("a: !!python/object/apply:os.system ['touch ran']", "device: !!binary aGFsbG8=", "device: &a [*a]"),
    *("a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
      "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ntracker: [*d,*d,*d,*d,*d,*d,*d,*d,*d]",),
    *("batch: 2001-01-01", "batch: .nan", "batch: .inf", "batch: 1_000", "batch: 0o17", "1: 2", "? [a]\n: b"),
    *("device: [" + "[" * 3000, "tracker: {<<: {name: kpr}}", "%YAML 9.9", "--- a\n--- b", "batch: 1e999"),
    *("_base_: config.yaml", "_base_: missing.yaml", "null: 1", "true: 1", "tracker:", "- a\n- b", "text"),
)  # fmt: skip


def _mutate_config(data: bytes, rng: Random, extra: tuple[str, ...], delimiters: tuple[str, ...]) -> bytes:
    lines = data.decode().splitlines()
    for _ in range(rng.choice((1, 1, 2))):
        place, action = rng.randrange(len(lines)), rng.randrange(7)
        if action <= 2:
            lines.insert(rng.choice((0, len(lines))), rng.choice(extra))
        elif action == 3:
            del lines[place]
            lines = lines or [""]
        elif action <= 5:
            mark = next((each for each in delimiters if each in lines[place]), "")
            head = lines[place].partition(mark)[0] if mark else ""
            lines[place] = f"{head}{mark}{_cell(rng) if rng.random() < 0.7 else repr(_any_value(rng))}"
        else:
            lines[place] = mutate_bytes(lines[place].encode(), rng).decode("latin-1")
    text = "\n".join(lines) + "\n"
    return text.encode(rng.choice(("utf-8",) * 8 + ("utf-8-sig", "utf-16", "latin-1")), "replace")


def mutate_python(data: bytes, rng: Random) -> bytes:
    """Change, remove and add lines of a config in Python's syntax."""
    return _mutate_config(data, rng, _PYTHON, ("=",))


def mutate_yaml(data: bytes, rng: Random) -> bytes:
    """Change, remove and add lines of a config in YAML."""
    return _mutate_config(data, rng, _YAML, (": ", "- "))
