"""The subcommand `models`: list, download, import, export and check model weights."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kprtrack.cli.options import Parser, add_actions, new_parser
from kprtrack.cli.output import print_line, print_text, table_text
from kprtrack.config import PRESETS
from kprtrack.core.errors import UserError, WeightsError, unknown_name
from kprtrack.core.files.paths import expanded
from kprtrack.core.progress import Progress

if TYPE_CHECKING:
    from kprtrack.hub.model_file import ModelFile
    from kprtrack.hub.store import ModelRow

_COLUMNS = ("NAME", "INSTALLED", "ARCHITECTURE", "SIZE", "SCORE (published)", "LICENCE")


def models_parser() -> Parser:
    """Make the parser of `models`."""
    parser = new_parser("models", "List, download, import, export and check model weights.")
    actions = add_actions(parser, "ACTION", "what to do")
    listed = actions.add_parser(
        "list", help="list all models: architecture, size, score, licence, installed or not"
    )
    listed.add_argument(
        "--licence",
        choices=("permissive",),
        help="permissive: only weights whose licence allows any use (MIT, BSD, Apache-2.0, CC-BY, CC0)",
    )
    get = actions.add_parser("get", help="download and verify one model, or all of a preset")
    get.add_argument("name", metavar="NAME", nargs="?")
    get.add_argument("--preset", metavar="NAME", help="get all models of a preset, e.g. light or balanced")
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
        rows = [row for row in store.list_models() if row.permissive or not options.licence]
        print_text(table_text([_COLUMNS, *map(_row, rows)]))
    elif options.action == "check":
        return _check(store.list_models())
    elif options.action == "export":
        _export(options)
    elif options.action == "get":
        for file in _get(_names_to_get(options), quiet=options.quiet):
            _print_file(file)
    else:
        _print_file(store.import_file(Path(options.file), options.name))
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


def _names_to_get(options: argparse.Namespace) -> list[str]:
    """Return the one name, or those of the weights of a preset."""
    if (options.name is None) == (options.preset is None):
        raise UserError("Name one model, or a preset: kprtrack models get --preset light.")
    if options.preset is None:
        return [options.name]
    if options.preset not in PRESETS:
        raise unknown_name("preset", options.preset, PRESETS)
    from kprtrack.build import weights_name

    preset = PRESETS[options.preset]
    names = [weights_name(role, getattr(preset, role)) for role in ("detector", "pose", "reid")]
    return [name for name in names if name is not None]


def _get(names: list[str], *, quiet: bool) -> list["ModelFile"]:
    """Download the models that are not installed yet, with one progress bar for all."""
    from kprtrack.hub import store

    sizes = {row.name: row.size_bytes or 0 for row in store.list_models() if not row.installed}
    missing = {name: sizes[name] for name in names if name in sizes}
    received = dict.fromkeys(missing, 0)
    files = []
    with Progress(_mb(missing), "download", quiet or not missing, unit="MB") as bar:
        for name in names:

            def show(bytes_received: int, total: int | None, name: str = name) -> None:
                before = _mb(received)
                received[name] = max(received[name], bytes_received)  # a download that starts again
                if total and missing.get(name) != total:  # unknown before, or of an archive
                    missing[name] = total
                    bar.expect(_mb(missing))
                bar.advance(_mb(received) - before)

            files.append(store.get(name, progress=show))
    return files


def _mb(sizes: Mapping[str, int]) -> int:
    return round(sum(sizes.values()) / 1e6)


def _print_file(file: "ModelFile") -> None:
    print_line(str(file.path))
    print_line(f"sha256 {file.sha256} ({file.trust})")


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
