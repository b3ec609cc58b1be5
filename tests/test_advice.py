"""What error messages and help texts advise exists: options, their values, settings and commands.

All strings of the source that are no docstrings are searched, so that new messages are covered as well.
"""

import argparse
import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import NamedTuple, get_args, get_type_hints

import pytest
from support.paths import ROOT

from kprtrack.build import network_table
from kprtrack.cli.main import DEFAULT_SUBCOMMAND, SUBCOMMANDS
from kprtrack.config import PRESETS, TrackConfig
from kprtrack.core.errors import UserError
from kprtrack.inference.devices import BackendName, Precision
from kprtrack.trackers import TRACKERS
from kprtrack.training.tasks import TASKS

GAP = "\N{HORIZONTAL ELLIPSIS}"  # where an f-string inserts a value
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*(?![\w-])")
# In backticks, or up to the end of the clause.
COMMAND = re.compile(r"`(?:kprtrack )([^`]+)`|(?<!`)\bkprtrack ([A-Za-z][^`\n\",;()]*)")
SETTING = re.compile(r"(?<![\w./-])([a-z_]+(?:\.[a-z_]+)*)=(?=\S)")
# Words that follow the name of the project in sentences.
NOT_COMMANDS = ("file", "format", "needs", "observations")
# Options of other programs, in messages about them.
FOREIGN_OPTIONS = (
    "--force-reinstall",
    "--no-deps",
    "--untracked-files",
    "--line",
    "--soft",  # CSS
    "--head",  # Ray
)
# Code whose messages appear in these subcommands only; all others may advise any option that exists.
OWNERS = {
    "eval/bench/": ("bench",),
    "eval/benchmarks/": ("eval", "bench"),
    "eval/tune/": ("tune",),
    "kprtrack/cli/evaluation/prompt_quality": ("eval",),
    "kprtrack/cli/evaluation/eval_reid": ("eval", "data"),
    "kprtrack/detectors/": ("track", "observe", "bench"),
    "kprtrack/poses/": ("track", "observe", "bench"),
    "kprtrack/training/": ("train", "data"),
    "reid/evaluation/": ("eval",),
}
VALUES = {
    "--detector": lambda: network_table("detector"),
    "--pose": lambda: network_table("pose"),
    "--reid": lambda: network_table("reid"),
    "--tracker": lambda: TRACKERS,
    "--preset": lambda: PRESETS,
    "--backend": lambda: get_args(BackendName),
    "--precision": lambda: get_args(Precision),
    "--device": lambda: ("auto", "cpu", "cuda", "mps"),
    "--vectors": lambda: ("foreground+parts", "parts", "whole"),
    "--prompts": lambda: ("on", "off"),
}


class Text(NamedTuple):
    file: str
    line: int
    text: str


def _text_of(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(_text_of(part) or GAP for part in node.values)
    return None


def texts() -> Iterator[Text]:
    """All strings of the packages but docstrings; values within f-strings are gaps."""
    for package in ("kprtrack", "reid", "eval"):
        for path in sorted((ROOT / package).rglob("*.py")):
            file = path.relative_to(ROOT).as_posix()
            nodes: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
            while nodes:
                node = nodes.pop()
                if isinstance(node, ast.Constant | ast.JoinedStr):
                    if text := _text_of(node):
                        yield Text(file, node.lineno, text)
                elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                    nodes.extend(ast.iter_child_nodes(node))


ALL = list(texts())


@functools.cache
def parsers(subcommand: str) -> dict[str, argparse.ArgumentParser]:
    """The parsers of a subcommand: its own under "", those of its actions under their names."""
    parser = SUBCOMMANDS[subcommand][0]()
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {"": parser, **{name: each for action in inner for name, each in action.choices.items()}}


@functools.cache
def options(subcommand: str) -> frozenset[str]:
    return frozenset(
        option
        for parser in parsers(subcommand).values()
        for a in parser._actions
        for option in a.option_strings
    )


def owners(file: str) -> tuple[str, ...]:
    """The subcommands in which a message of this file can appear."""
    for prefix, names in OWNERS.items():
        if file.startswith(prefix):
            return names
    own = [name for name, (make, _) in SUBCOMMANDS.items() if make.__module__ == file[:-3].replace("/", ".")]
    return tuple(own) or tuple(SUBCOMMANDS)


def commands(text: Text) -> list[list[str]]:
    """The commands in a text, as words after `kprtrack`."""
    found = []
    for quoted, plain in COMMAND.findall(text.text):
        words = [word.rstrip(".:") or word for word in (quoted or re.split(r"\. |  ", plain)[0]).split()]
        if words[0] not in NOT_COMMANDS:
            found.append(words)
    return found


WITH_COMMANDS = [text for text in ALL if commands(text)]
WITH_OPTIONS = [text for text in ALL if OPTION.search(text.text) and not OPTION.fullmatch(text.text)]


def test_there_is_advice_to_check() -> None:
    assert len(WITH_COMMANDS) > 20 and len(WITH_OPTIONS) > 60


@pytest.mark.parametrize("text", WITH_OPTIONS, ids=lambda text: f"{text.file}:{text.line}")
def test_options_that_messages_name_exist(text: Text) -> None:
    bare = COMMAND.sub("", text.text) if commands(text) else text.text  # those of commands: see below
    known = {option for name in owners(text.file) for option in options(name)}
    assert not set(OPTION.findall(bare)) - known - set(FOREIGN_OPTIONS)


@pytest.mark.parametrize("text", WITH_COMMANDS, ids=lambda text: f"{text.file}:{text.line}")
def test_commands_that_messages_name_can_be_parsed(text: Text) -> None:
    for words in commands(text):
        if words[0].isupper() or words[0] == GAP:
            words = [DEFAULT_SUBCOMMAND, *words]
        name, *rest = words
        assert name in SUBCOMMANDS, f"there is no subcommand {name}"
        known = parsers(name)
        action = rest[0] if rest and rest[0] in known else ""
        assert action or len(known) == 1 or not rest, f"`{name}` has no action {rest[:1]}"
        asked = {word.partition("=")[0] for word in rest if word.startswith("--")}
        assert not asked - {option for each in known[action]._actions for option in each.option_strings}
        try:
            SUBCOMMANDS[name][0]().parse_args([word.replace(GAP, "1") for word in rest])
        except UserError as error:
            assert "the following arguments are required" in str(error)  # the message names the command only
        except SystemExit as error:
            assert error.code == 0 and "--help" in rest


@pytest.mark.parametrize("option", VALUES)
def test_values_that_messages_advise_are_accepted(option: str) -> None:
    pattern = re.compile(rf"{option} ([a-z][\w+-]*)(?=[\s.,;)]|$)")
    named = {name for text in ALL for name in pattern.findall(text.text) if GAP not in name}
    names = {"and", "chooses", "is", "needs", "out", "reads", "takes"}  # of sentences
    assert not named - names - set(VALUES[option]())


def test_settings_that_messages_advise_exist() -> None:
    """`--set KEY=VALUE` of a run."""
    configs = {role: network_table(role) for role in ("detector", "pose", "reid")} | {"tracker": TRACKERS}
    known = {field.name for field in fields(TrackConfig)}
    for role, table in configs.items():
        for _, config in table.values():
            kind = getattr(config, "func", config)  # a functools.partial of the class
            known |= {f"{role}.{field.name}" for field in fields(kind)} | {f"{role}.weights", f"{role}.name"}
    advised = {key for text in ALL for key in re.findall(r"--set ([a-z_.]*[a-z_])(?=[= ])", text.text)}
    assert advised and not advised - known


@pytest.mark.parametrize("folder", ["kprtrack/training/", "reid/training/", "kprtrack/cli/train.py"])
def test_settings_of_trainings_that_messages_advise_exist(folder: str) -> None:
    known = {key for kind in TASKS.values() for key in _keys(kind.config)}
    known |= {key.rpartition(".")[2] for key in known}  # "schedule.peak=1, floor=2"
    known |= {"key", "keypoints", "masks"}  # key=value; the others are settings of datasets, for --option
    advised = {
        key
        for text in ALL
        if text.file.startswith(folder) and " " in text.text
        for key in SETTING.findall(text.text)
    }
    assert not advised - known


def _keys(config: type, prefix: str = "") -> Iterator[str]:
    """The settings of a config class, those of configs within it with dots."""
    for name, hint in get_type_hints(config).items():
        yield prefix + name
        for inner in filter(is_dataclass, (hint, *get_args(hint))):
            yield from _keys(inner, f"{prefix}{name}.")


def test_an_option_that_does_not_exist_would_be_found() -> None:
    text = Text("kprtrack/io/mot.py", 1, "Boxes have no ids; use --detections, or `kprtrack trak FILE`.")
    assert set(OPTION.findall(COMMAND.sub("", text.text))) == {"--detections"}
    assert not any("--detections" in options(name) for name in SUBCOMMANDS)
    assert commands(text) == [["trak", "FILE"]]
    assert Path(ROOT / text.file).is_file()
