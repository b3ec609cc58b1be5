"""No config file of any format runs code, whatever command reads it."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.fake_run import make_video
from support.limited import run_limited
from support.one_network import build_network
from support.paths import ROOT

from kprtrack.build import compute_config
from kprtrack.cli.main import main
from kprtrack.config import TrackConfig, load_config
from kprtrack.core.errors import UserError
from kprtrack.core.settings import read_settings

PYTHON = [
    "import os\nos.system('touch MARK')",
    "from os import system\nsystem('touch MARK')",
    "__import__('os').system('touch MARK')",
    "device = __import__('pathlib').Path('MARK').touch() or 'cpu'",
    "device = __import__('os').mkdir('MARK')",
    "device = [__import__('os').mkdir(name) for name in ('MARK',)][0]",
    "device = (lambda: __import__('os').mkdir('MARK'))()",
    "device = f\"{__import__('os').mkdir('MARK')}\"",
    "device = 'cpu' if __import__('os').mkdir('MARK') else 'cuda'",
    "device = dict(a=__import__('os').mkdir('MARK'))",
    "device = dict(**dict(a=__import__('os').mkdir('MARK')))",
    "device = {__import__('os').mkdir('MARK'): 1}",
    "device = [*__import__('os').mkdir('MARK')]",
    "device = ''.__class__.__base__.__subclasses__() and __import__('os').mkdir('MARK')",
    "device: __import__('os').mkdir('MARK') = 'cpu'",
    "(device := __import__('os').mkdir('MARK'))",
    "def device(a=__import__('os').mkdir('MARK')): pass",
    "class device:\n    __import__('os').mkdir('MARK')",
    "@lambda f: __import__('os').mkdir('MARK')\ndef device(): pass",
    "with __import__('os').mkdir('MARK'):\n    pass",
    "while __import__('os').mkdir('MARK') and 0: pass",
    "assert __import__('os').mkdir('MARK')",
    "try:\n    raise ValueError\nexcept ValueError:\n    __import__('os').mkdir('MARK')",
    "exec('import os; os.mkdir(\"MARK\")')",
    "dict = __import__\ndevice = dict('os').mkdir('MARK')",
    "# -*- coding: utf-7 -*-\ndevice = +ACc-+ADs-__import__('os').mkdir('MARK')",
    "with read_base():\n    __import__('os').mkdir('MARK')",
]
YAML = [
    "device: !!python/object/apply:os.system ['touch MARK']",
    "!!python/object/apply:os.system ['touch MARK']",
    "device: !!python/object/apply:os.mkdir [MARK]",
    "device: !!python/object/apply:subprocess.check_output [[touch, MARK]]",
    "? !!python/object/apply:os.mkdir [MARK]\n: 1",
    "a: &a !!python/object/apply:os.mkdir [MARK]\ndevice: *a",
    "%TAG ! tag:yaml.org,2002:python/object/apply:\n---\ndevice: !os.system ['touch MARK']",
    "device: !!python/object/new:os.system ['touch MARK']",
]
COMMANDS = [
    ["track", "v.mp4", "--config", "CONFIG", "--print-config"],
    ["follow", "o.npz", "--config", "CONFIG", "--print-config"],
    ["track", "v.mp4", "--config", "CONFIG", "--out", "o.json"],
    ["train", "CONFIG", "out=run"],
]


def run_all(folder: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> set[int]:
    """Give a config to all commands that read one; the exit codes, once no command has run code."""
    codes = set()
    for command in COMMANDS:
        codes.add(main([str(config) if word == "CONFIG" else word for word in command]))
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) <= 1 and "this is a bug" not in "".join(lines)
        assert not (folder / "mark").exists()
    return codes


def payload(text: str, folder: Path) -> str:
    return text.replace("MARK", str(folder / "mark"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("text", PYTHON)
def test_a_python_config_is_not_executed(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "evil.py").write_text(payload(text, folder))
    (folder / "child.json").write_text('{"_base_": "evil.py"}')
    (folder / "child.yaml").write_text("_base_: [./evil.py]")
    (folder / "child.py").write_text("_base_ = './evil.py'")
    for name in ("evil.py", "child.json", "child.yaml", "child.py"):
        assert run_all(folder, folder / name, capsys) <= {2, 3} or "device:" in text


@pytest.mark.parametrize("text", [text for text in PYTHON if "utf-7" not in text and "read_base" not in text])
def test_these_attacks_work_where_a_config_is_executed(text: str, folder: Path) -> None:
    (folder / "evil.py").write_text(payload(text, folder))
    with contextlib.suppress(TypeError, AssertionError):
        exec(compile(payload(text, folder), "evil.py", "exec"), {})
    assert (folder / "mark").exists()


@pytest.mark.parametrize("text", YAML)
def test_a_yaml_config_makes_no_objects(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "evil.yaml").write_text(payload(text, folder))
    (folder / "child.json").write_text('{"_base_": "evil.yaml"}')
    for name in ("evil.yaml", "child.json"):
        assert run_all(folder, folder / name, capsys) == {3}
    with contextlib.suppress(TypeError):
        yaml.unsafe_load(payload(text, folder))
    assert (folder / "mark").exists()  # where nothing limits YAML, the attack works


@pytest.mark.parametrize("extension", ["json", "yaml", "py"])
@pytest.mark.parametrize(
    "imports",
    [{"imports": ["evil_module"]}, {"imports": "evil_module", "allow_failed_imports": True}, ["evil_module"]],
)
def test_a_config_imports_nothing(
    imports: object,
    extension: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder / "evil_module.py").write_text(payload("__import__('os').mkdir('MARK')", folder))
    monkeypatch.syspath_prepend(str(folder))
    text = f"custom_imports = {imports!r}" if extension == "py" else json.dumps({"custom_imports": imports})
    (folder / f"mine.{extension}").write_text(text)
    assert run_all(folder, folder / f"mine.{extension}", capsys) == {2}  # an unknown setting
    assert "evil_module" not in sys.modules


@pytest.mark.parametrize("text", ["{{ fileDirname }}", "{{$HOME:x}}", "{{_base_.x}}", "$HOME", "${HOME}"])
def test_text_is_not_expanded(text: str, folder: Path) -> None:
    (folder / "a.json").write_text(json.dumps({"device": text}))
    (folder / "a.py").write_text(f"device = {text!r}")
    assert read_settings("a.json") == read_settings("a.py") == {"device": text}


def test_reading_a_config_loads_no_reader_that_executes_files(folder: Path) -> None:
    for name, text in (("a.json", "{}"), ("a.yaml", "{}"), ("a.py", "")):
        (folder / name).write_text(text)
    program = """
from kprtrack.config import load_config
for name in sys.argv[1:]:
    load_config(name)
print(sorted({"mmengine", "addict", "yapf"} & set(sys.modules)))
"""
    assert run_limited(program, *(folder / f"a.{name}" for name in ("json", "yaml", "py"))) == ["[]"]


@pytest.mark.parametrize(
    "text", ["trust_code = True", "trust_code = 1", "_base_ = 'base.yaml'"], ids=["true", "one", "base"]
)
def test_a_config_cannot_trust_itself(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "base.yaml").write_text("trust_code: true")
    (folder / "mine.py").write_text(text)
    assert main(["track", "v.mp4", "--config", "mine.py", "--print-config"]) == 2
    assert "add --trust-code to the command" in capsys.readouterr().err


@pytest.mark.parametrize("role", ["detector", "pose", "reid", "tracker"])
def test_a_config_cannot_trust_in_the_name_of_a_component(role: str, folder: Path) -> None:
    names = {"detector": "ultralytics", "pose": "mmpose", "reid": "small", "tracker": "kpr"}
    (folder / "mine.json").write_text(
        json.dumps({role: {"name": names[role], "weights": None, "trust_code": True, "trust_file": True}})
    )
    config = load_config("mine.json")
    assert not config.trust_code
    if role != "tracker":
        with pytest.raises(UserError):
            build_network(config, role)


def test_the_option_is_part_of_the_printed_config_and_of_what_networks_get(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["track", "v.mp4", "--trust-code", "--print-config"]) == 0
    assert json.loads(capsys.readouterr().out)["trust_code"] is True
    assert main(["track", "v.mp4", "--print-config"]) == 0
    (folder / "printed.json").write_text(capsys.readouterr().out)
    assert main(["track", "v.mp4", "--config", "printed.json", "--print-config"]) == 0
    assert [compute_config(TrackConfig(trust_code=trust)).trust_code for trust in (True, False)] == [
        True,
        False,
    ]


def test_an_untrusted_file_is_rejected_before_anything_else_of_the_run(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "yolo.pt").write_bytes(b"x")
    make_video(folder / "v.mp4")
    words = [
        "track",
        "v.mp4",
        "--detector",
        "ultralytics",
        "--detector-weights",
        "yolo.pt",
        "--out",
        "o.json",
    ]
    assert main(words) == 4
    assert "Add --trust-code" in capsys.readouterr().err
    assert not (folder / "o.json").exists()


def test_a_config_called_like_a_package_is_not_imported(tmp_path: Path) -> None:
    """`python -m` puts the current folder before the installed packages."""
    for name in ("reid", "eval", "json"):
        (tmp_path / f"{name}.py").write_text(f"task = 'pose'\nopen({str(tmp_path / 'mark')!r}, 'w')\n")
    (tmp_path / "reid.json").write_text('{"task": "pose"}')
    ran = subprocess.run(
        [sys.executable, "-m", "kprtrack", "train", "reid.json", "--print-config"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("task = 'pose'\n")
    assert not (tmp_path / "mark").exists()
