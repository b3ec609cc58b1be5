"""Config files are read as data, with the values that Python, JSON and YAML give them."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from support import paths
from support.limited import run_limited

from kprtrack.core.errors import InputError, UserError
from kprtrack.core.settings import config_names, find_config, read_settings

CASE = paths.SHARED / "cases" / "bom-config" / "bom.json"


def read(folder: Path, text: str, name: str = "mine.py") -> dict[str, Any]:
    (folder / name).write_text(text, encoding="utf-8")
    return read_settings(folder / name)


@pytest.mark.parametrize("name", config_names())
def test_every_packaged_config_has_the_values_that_python_computes(name: str) -> None:
    scope: dict[str, Any] = {}
    exec(find_config(name).read_text("utf-8"), scope)
    own = {key: value for key, value in scope.items() if not key.startswith("_")}
    found = read_settings(name)
    assert_contains(found, own)
    assert "_base_" in scope or found == own


def assert_contains(found: Any, part: Any) -> None:
    if isinstance(part, dict):
        for key, value in part.items():
            assert_contains(found[key], value)
    else:
        assert found == part and type(found) is type(part)


EXPRESSIONS = [
    "0.01 / 64",
    "-3 ** 2 + 7 // 2 % 5",
    "2 ** -1",
    "2 ** 62",
    "not 0",
    "(1, 2.5e-3, [True, None])",
    "[1, 2] + [3] * 2",
    "(0,) * 3 + (1,)",
    "'a' 'b' + 'c' * 2",
    "dict(a=1, b=dict(c=(1, 2)))",
    "{'a': 1, **dict(b=2)}",
    "dict(dict(a=1), a=2)",
    "[*(1, 2), *[3]]",
    "0x1F + 0b11 + 1_000",
    "'é\\u00e9\\N{BULLET}'",
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_values_are_those_of_python(tmp_path: Path, expression: str) -> None:
    found = read(tmp_path, f"x = {expression}\n")["x"]
    assert found == eval(expression) and type(found) is type(eval(expression))


def test_names_assigned_before_may_be_used_and_private_ones_are_no_settings(tmp_path: Path) -> None:
    text = '"""Mine."""\n_width = 2\nheight: int = 3 * _width\nheight += 1\nboth = other = [height, _width]\n'
    assert read(tmp_path, text) == {"height": 7, "both": [7, 2], "other": [7, 2]}


YAML = """
device: cpu
batch: 4
threads: null
flags: [true, no, 1.5, 1e-3, -2E+4, .5, '1e-3', "7"]
tracker: &tracker {name: kpr, high_score: 0.5}
more:
  <<: *tracker
  high_score: 0.75
"""


def test_yaml_values(tmp_path: Path) -> None:
    assert read(tmp_path, YAML, "mine.yaml") == {
        "device": "cpu",
        "batch": 4,
        "threads": None,
        "flags": [True, False, 1.5, 1e-3, -2e4, 0.5, "1e-3", "7"],
        "tracker": {"name": "kpr", "high_score": 0.5},
        "more": {"name": "kpr", "high_score": 0.75},
    }
    assert read(tmp_path, "# nothing\n", "mine.yml") == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"device": "cpu"}'),
        ("a.yaml", "device: cpu\n"),
        ("a.YML", "device: cpu"),
        ("a.py", "device = 'cpu'\r\n"),
    ],
)
def test_a_byte_order_mark_is_accepted(tmp_path: Path, name: str, text: str) -> None:
    assert read(tmp_path, "\ufeff" + text, name) == {"device": "cpu"}


@pytest.mark.skipif(not CASE.is_file(), reason="needs ../shared/cases")
def test_the_reported_file_with_a_byte_order_mark_is_read() -> None:
    assert read_settings(CASE) == json.loads(CASE.read_text("utf-8-sig"))


def test_bases_of_all_formats_are_merged_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "root.json").write_text(
        '{"device": "cpu", "tracker": {"name": "kpr", "a": 1, "b": [1]}}'
    )
    (tmp_path / "middle.yaml").write_text("_base_: deep/root.json\ntracker: {a: 2}\n")
    (tmp_path / "beside.py").write_text("batch = 3")
    text = "_base_ = ['./middle.yaml', 'beside.py']\ntracker = dict(b=[2, 3])\n"
    assert read(tmp_path, text) == {
        "device": "cpu",
        "tracker": {"name": "kpr", "a": 2, "b": [2, 3]},
        "batch": 3,
    }
    text = "_base_ = 'middle.yaml'\ntracker = dict(name='bytetrack', _delete_=True)\n"
    assert read(tmp_path, text)["tracker"] == {"name": "bytetrack"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.py", "\nimport os", r"line 2 has 'import', but a config is not executed"),
        ("a.py", "x = cpu", "line 1 uses the name cpu, which is not assigned above; write text in quotes"),
        ("a.py", "x = print(1)", r"line 1 has 'print\(1\)', but a config is not executed"),
        ("a.py", "x = 'a'.upper()", "line 1 has"),
        ("a.py", "x = (", "it is no valid Python"),
        ("a.py", "x = {'a': 1, 'a': 2}", "line 1: the key 'a' is there twice"),
        ("a.py", "x = {1: 2}", "line 1: the keys of a dict must be text"),
        ("a.py", "x = b'a'", "line 1: a value is of the type bytes"),
        ("a.py", "x = 1j", "type complex"),
        ("a.py", "x = ...", "type ellipsis"),
        ("a.py", "x = (-8) ** 0.5", "type complex"),
        ("a.py", "x = 1 / 0", "line 1 cannot be computed: division by zero"),
        ("a.py", "x = 9.0 ** 999", "line 1 cannot be computed"),
        ("a.py", "x = '%9d' % 3", "line 1 computes with what is no number"),
        ("a.py", "x, y = 1, 2", "line 1 has"),
        ("a.py", "dict = 3", "line 1 has 'dict'"),
        ("a.py", "x = '\\ud800'", "characters that no setting can have"),
        ("a.py", "x = '\\x1b[2J'", "characters that no setting can have"),
        ("a.py", "_base_ = 3", "_base_ must be a file name or a list of them, not 3"),
        ("a.json", "{'a': 1}", "it is no valid JSON in line 1"),
        ("a.json", '{"a": 1, "a": 2}', "the key 'a' is there twice"),
        ("a.json", "[1]", "it must hold a dict of settings, not list"),
        ("a.json", "", "it is no valid JSON"),
        ("a.yaml", "a: [1", "it is no valid YAML in line"),
        ("a.yaml", "a: 1\nb: 1\na: 2", r"\.yaml: line 1: the key 'a' is there twice"),
        ("a.yaml", "a: !!int x", "it has a value that cannot be read"),
        ("a.yaml", "a: 2026-01-01", "line 1 has the tag '!!timestamp'"),
        ("a.yaml", "a: !!binary aGk=", "line 1 has the tag '!!binary'"),
        ("a.yaml", "- 1", "it must hold a dict of settings, not list"),
        ("a.yaml", "a: 1\n---\nb: 2", "it is no valid YAML in line 2"),
        ("a.yaml", "1: 2", "the keys of a dict must be text"),
        ("a.yaml", "a: \x07", "it is no valid YAML"),
        ("a.toml", "a = 1", r"its name must end in \.py, \.json, \.yaml or \.yml"),
    ],
)
def test_what_is_no_config_is_an_error_of_one_line(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, text, name)
    assert str(caught.value).startswith(f"Cannot read the config file {tmp_path / name}: ")
    assert "\n" not in str(caught.value)


def test_other_encodings_and_bases_that_are_missing_or_circular_are_errors(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes('{"a": 1}'.encode("utf-16"))
    with pytest.raises(InputError, match="it is not in UTF-8"):
        read_settings(tmp_path / "a.json")
    with pytest.raises(InputError, match=r"names the base none\.py, but there is no config file"):
        read(tmp_path, "_base_ = 'none.py'")
    for name in ("x" * 300 + ".py", "x" * 9999 + ".py"):  # longer than any file system allows
        with pytest.raises(InputError, match="but there is no config file"):
            read(tmp_path, f"_base_ = '{name}'")
        with pytest.raises(InputError, match="No config file at"):
            read_settings(name)
    with pytest.raises(InputError, match="more than 20 files, or name each other"):
        read(tmp_path, "_base_ = 'mine.py'")
    (tmp_path / "b.py").write_text("batch = 1")
    with pytest.raises(InputError, match=r"Two bases of .* set batch"):
        read(tmp_path, "_base_ = ['b.py', 'b.py']")
    with pytest.raises(InputError, match=r"sets batch to a dict, but its base has 1. Add _delete_=True"):
        read(tmp_path, "_base_ = 'b.py'\nbatch = dict(a=1)")


def test_a_whole_number_of_thousands_of_digits_on_the_command_line_is_an_error() -> None:
    from kprtrack.config import TrackConfig, override

    with pytest.raises(UserError, match="batch must be a whole number"):
        override(TrackConfig(), ["batch=0x" + "f" * 5000])
    assert math.isclose(override(TrackConfig(), ["tracker.a=1e-3"]).tracker.options["a"], 0.001)


def _doubled(first: str, line: str) -> str:
    return "\n".join([first, *(line.format(new=n + 1, old=n) for n in range(30))])


# Small files that take minutes or gigabytes where nothing limits them.
BOMBS = {
    "power.py": "x = 10 ** 10 ** 10",
    "power_negative.py": "x = (-3) ** 10 ** 9",
    "product.py": "_a0 = 2 ** 60\n" + _doubled("", "_a{new} = _a{old} * _a{old}"),
    "repetition.py": "x = 'a' * 10 ** 10",
    "repetition_list.py": "x = [0] * 10 ** 10",
    "repetition_twice.py": "x = [[0] * 100000] * 100000",
    "sum.py": _doubled("_a0 = 'x'", "_a{new} = _a{old} + _a{old}"),
    "augmented.py": "x = [1]\n" + "x += x\n" * 60,
    "references.py": _doubled("a0 = [1]", "a{new} = [a{old}, a{old}]"),
    "dicts.py": _doubled("a0 = dict(a=1)", "a{new} = dict(x=a{old}, y=a{old})"),
    "kept_lists.py": "_l = [0] * 50000\n" + "\n".join(f"_a{n} = _l + [0]" for n in range(4000)),
    "brackets.py": "x = " + "[" * 60000 + "]" * 60000,
    "minus.py": "x = " + "-" * 100000 + "1",
    "chain.py": "x = " + "+".join(["1"] * 50000),
    "attributes.py": "x = a" + ".a" * 50000,
    "powers.py": "x = " + "**".join(["1"] * 30000),
    "nots.py": "x = " + "not " * 25000 + "1",
    "calls.py": "x = a" + "()" * 50000,
    "digits.py": "x = " + "9" * 100000,
    "hexadecimal.py": "x = 0x" + "f" * 100000,
    "zero.py": "x = 1\0",
    "large.py": "x = 1\n" * 200000,
    "large.json": '{"a": "' + "x" * 300000 + '"}',
    "brackets.json": '{"a":' * 20000 + "1" + "}" * 20000,
    "digits.json": '{"a": ' + "9" * 100000 + "}",
    "brackets.yaml": "a: " + "[" * 50000,
    "indent.yaml": "\n".join(" " * n + "a:" for n in range(400)),
    "aliases.yaml": _doubled("a0: &a0 [x]", "a{new}: &a{new} [*a{old}, *a{old}]"),
    "merges.yaml": _doubled(
        "a0: &a0 {{x: 1}}".replace("{{", "{").replace("}}", "}"), "a{new}: &a{new} {{<<: [*a{old}, *a{old}]}}"
    ),
    "itself.yaml": "a: &a [*a]",
    "hexadecimal.yaml": "a: 0x" + "f" * 100000,
    "digits.yaml": "a: " + "9" * 100000,
    "base60.yaml": "a: 1" + ":59" * 30000,
    "itself.json": '{"_base_": "itself.json"}',
    "wide.json": '{"_base_": ["wide.json", "wide.json", "wide.json", "wide.json"]}',
}
READ_ALL = """
from pathlib import Path
from kprtrack.core.errors import InputError
from kprtrack.core.settings import read_settings
for file in sorted(Path(sys.argv[1]).iterdir()):
    print(file.name, flush=True)
    try:
        read_settings(file)
    except InputError as error:
        assert len(str(error).splitlines()) == 1 and len(str(error)) < 400, str(error)[:1000]
    else:
        raise SystemExit(f"{file.name} was read")
"""


@pytest.mark.slow
def test_files_that_grow_without_limit_are_rejected_at_once(tmp_path: Path) -> None:
    for name, text in BOMBS.items():
        (tmp_path / name).write_text(text)
    assert run_limited(READ_ALL, tmp_path, megabytes=400) == sorted(BOMBS)
