"""The subcommand `models`: list, download, import, export and check model weights."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kprtrack.cli.options import Parser, add_actions, new_parser
from kprtrack.cli.output import print_line, print_text
from kprtrack.core.errors import WeightsError, printable, unknown_name
from kprtrack.core.files.paths import expanded

if TYPE_CHECKING:
    from kprtrack.hub.store import ModelRow

_COLUMNS = ("NAME", "INSTALLED", "ARCHITECTURE", "SIZE", "SCORE (published)", "LICENCE")


def models_parser() -> Parser:
    """Make the parser of `models`."""
    parser = new_parser("models", "List, download, import, export and check model weights.")
    actions = add_actions(parser, "ACTION", "what to do")
    actions.add_parser("list", help="list all models: architecture, size, score, licence, installed or not")
    get = actions.add_parser("get", help="download and verify one model")
    get.add_argument("name", metavar="NAME")
    get.add_argument(
        "--quiet", "-q", action="store_true", default=argparse.SUPPRESS, help="print errors only"
    )
    imported = actions.add_parser("import", help="copy a downloaded file into the model folder")
    imported.add_argument("file", metavar="FILE")
    imported.add_argument("--name", metavar="NAME", help="which model it is, if its sha256 is not known")
    exported = actions.add_parser("export", help="write a network with its weights as an ONNX file")
    exported.add_argument("name", metavar="NAME", help="a name of `models list`, or a file of a training")
    exported.add_argument("--to", metavar="FORMAT", default="onnx", help="onnx (default)")
    exported.add_argument("--out", "-o", metavar="FILE", help="file to write (default: NAME.onnx)")
    actions.add_parser("check", help="compare the sha256 of every installed model with the known one")
    actions.add_parser("where", help="print the model folder")
    return parser


def run_models(options: argparse.Namespace) -> int:
    """Run one action and return the exit code."""
    from kprtrack.hub import store
    from kprtrack.hub.cache import store_folder

    if options.action == "where":
        print_line(str(store_folder()))
    elif options.action == "list":
        print_text(_table([_COLUMNS, *map(_row, store.list_models())]))
    elif options.action == "check":
        return _check(store.list_models())
    elif options.action == "export":
        _export(options)
    else:
        if options.action == "get":
            file = store.get(options.name, progress=None if options.quiet else _show_bytes)
        else:
            file = store.import_file(Path(options.file), options.name)
        print_line(str(file.path))
        print_line(f"sha256 {file.sha256} ({file.trust})")
    return 0


def _export(options: argparse.Namespace) -> None:
    """Write an ONNX file and print its inputs and outputs."""
    if options.to != "onnx":
        raise unknown_name("format", options.to, ("onnx",))
    from kprtrack.hub.export import export_onnx

    out = expanded(options.out or f"{Path(options.name).name.partition('.')[0]}.onnx")
    file = export_onnx(options.name, out)
    print_line(str(file.path))
    print_text(
        "\n".join([f"  input  {one}" for one in file.inputs] + [f"  output {one}" for one in file.outputs])
    )


def _row(row: "ModelRow") -> tuple[str, ...]:
    size = f"{row.size_bytes / 1e6:.0f} MB" if row.size_bytes else "?"
    installed = "yes" if row.installed else "no" if row.downloadable else "no (by browser)"
    if row.in_package:
        installed = "in the package" if row.installed else "no (in a release)"
    return row.name, installed, row.architecture, size, row.score, row.licence


def _check(rows: list["ModelRow"]) -> int:
    """Check every model that is installed or belongs to the package; return the exit code."""
    from kprtrack.hub import store

    code = 0
    for row in rows:
        if not (row.installed or row.in_package):
            continue
        try:
            print_line(f"ok  {row.name}  {store.check(row.name).trust}")
        except WeightsError as error:
            print_line(f"!!  {row.name}  {error}")
            code = error.exit_code
    return code


def _table(rows: list[tuple[str, ...]]) -> str:
    rows = [tuple(map(printable, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _show_bytes(done: int, total: int | None) -> None:
    share = f" of {total / 1e6:.0f}" if total else ""
    sys.stderr.write(f"\r{done / 1e6:.0f}{share} MB")
