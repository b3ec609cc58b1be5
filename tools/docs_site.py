"""What the documentation site adds to the Markdown files in docs/; mkdocs calls the functions named on_*.

The CLI reference is written from the parsers, folders in the navigation become the pages they hold, links out
of docs/ lead to the repository, and a page that would load from another server fails the strict build.
"""

import argparse
import logging
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
CLI_PAGE = "cli.md"
SUBCOMMANDS_MARK = "<!-- subcommands -->"  # where the page has the generated part

log = logging.getLogger("mkdocs.hooks.docs_site")

_LINK = re.compile(r"(?<=\]\()(?P<path>[^)#:\s]+)(?=[)#])")
_LOADED = re.compile(
    r"<(?:script|img|iframe|source|video|link)\b[^>]*?\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>"
)


def on_config(config: Any) -> Any:
    """Replace folders in the navigation by the pages in them."""
    config.nav = expand_folders(config.nav)
    return config


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Insert the CLI reference; point links that leave docs/ at the repository."""
    if page.file.src_uri == CLI_PAGE:
        markdown = markdown.replace(SUBCOMMANDS_MARK, cli_reference())
    return link_to_repository(markdown, page.file.src_uri, f"{config.repo_url}/blob/main")


def on_post_page(output: str, *, page: Any, config: Any) -> str:
    """Keep the page from loading anything from elsewhere."""
    output = output.replace(
        ' data-md-component="source"', ""
    )  # the theme's script would ask GitHub for stars
    for tag in external_resources(output):
        log.warning("%s loads from another server: %s", page.file.src_uri, tag)
    return output


def expand_folders(nav: list[Any], docs: Path = DOCS) -> list[Any]:
    """Replace each `folder/` entry by its pages, sorted by name; drop sections that are left empty.

    Pages that stand beside the entry by themselves are left out of it, so that they can come first.

    Args:
        nav: The navigation as mkdocs.yml writes it: paths, or one-entry dicts from a title to a path or list.
        docs: The folder that paths start from.

    Returns:
        A navigation of the same form.
    """
    expanded: list[Any] = []
    for entry in nav:
        title, target = next(iter(entry.items())) if isinstance(entry, dict) else (None, entry)
        if isinstance(target, list):
            pages = expand_folders(target, docs)
            expanded += [{title: pages}] if pages else []
        elif target.endswith("/"):
            pages = sorted(page.relative_to(docs).as_posix() for page in (docs / target).glob("*.md"))
            expanded += [page for page in pages if page not in nav]
        else:
            expanded.append(entry)
    return expanded


def link_to_repository(markdown: str, page: str, base_url: str) -> str:
    """Turn relative links to files outside docs/ into links to `base_url`.

    Args:
        markdown: The text of a page.
        page: Its path below docs/.
        base_url: Where the repository's files can be read, without a slash at the end.

    Returns:
        The text; links inside docs/, to headings and to other sites are as before.
    """

    def replaced(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), match["path"]))
        if path.startswith("docs/"):
            return match["path"]
        if not (ROOT / path).exists():
            log.warning("%s links to %s, which does not exist", page, path)
        return f"{base_url}/{path}"

    return _LINK.sub(replaced, markdown)


def external_resources(html: str) -> list[str]:
    """The tags of a page that make a browser load something from another server."""
    return [tag for tag in _LOADED.findall(html) if 'rel="canonical"' not in tag]


def cli_reference(subcommands: Mapping[str, Callable[[], argparse.ArgumentParser]] | None = None) -> str:
    """Describe the usage, arguments and options of all subcommands of `kprtrack` in Markdown.

    Args:
        subcommands: Name to a function that makes the parser; by default those of kprtrack.

    Returns:
        One section of level 2 for each subcommand, one of level 3 for each action below it.
    """
    if subcommands is None:
        from kprtrack.cli.main import SUBCOMMANDS

        subcommands = {name: make_parser for name, (make_parser, _) in SUBCOMMANDS.items()}
    return "\n\n".join(part for make in subcommands.values() for part in _describe(make(), level=2)) + "\n"


def _describe(parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    """The paragraphs on one parser, then those on the parsers below it."""
    yield f"{'#' * level} {parser.prog}"
    yield _sentence(parser.description or "", end=".")
    yield f"```text\n{_usage(parser)}\n```"
    below: list[tuple[str, argparse.ArgumentParser]] = []
    tables: dict[str, list[str]] = {
        "": []
    }  # by title of the group; argparse's own two groups share one table
    for group in parser._action_groups:
        title = "" if group.title in ("positional arguments", "options") else group.title or ""
        for action in group._group_actions:
            if isinstance(action, argparse._SubParsersAction):
                help_of = {choice.dest: choice.help or "" for choice in action._choices_actions}
                below += [(help_of.get(name, ""), sub) for name, sub in action.choices.items()]
            elif not isinstance(action, argparse._HelpAction) and action.help != argparse.SUPPRESS:
                tables.setdefault(title, []).append(f"| {_names(action)} | {_cell(_help(parser, action))} |")
    for title, rows in tables.items():
        if rows:
            head = f"**{_sentence(title)}**\n\n" if title else ""
            yield f"{head}| argument | meaning |\n|---|---|\n" + "\n".join(rows)
    for help_text, sub in below:
        sub.description = sub.description or help_text
        yield from _describe(sub, level + 1)


def _usage(parser: argparse.ArgumentParser) -> str:
    """One line: what must be given, and that there are options."""
    words = [parser.prog]
    for action in parser._actions:
        value = str(action.metavar or action.dest.upper())
        if action.option_strings:
            words += [f"{action.option_strings[0]} {value}"] if action.required else []
        elif action.nargs in (argparse.OPTIONAL, argparse.ZERO_OR_MORE):
            words.append(f"[{value}]" if action.nargs == argparse.OPTIONAL else f"[{value} ...]")
        else:
            words.append(f"{value} ..." if action.nargs == argparse.ONE_OR_MORE else value)
    return " ".join([*words, "[options]"])


def _names(action: argparse.Action) -> str:
    """The option's spellings with what follows them, or the name of an argument without dashes."""
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    return ", ".join(f"`{name}{value}`" for name in action.option_strings)


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """The help text with its %(...)s filled in."""
    return (action.help or "") % {**vars(action), "prog": parser.prog}


def _text(text: str) -> str:
    """A help text as Markdown: nothing in it is meant as markup except code in backticks."""
    return re.sub(r"(?<!`)([*_<>\[\]])(?![^`]*`(?:[^`]*`[^`]*`)*[^`]*$)", r"\\\1", text)


def _sentence(text: str, end: str = "") -> str:
    """The text with a capital letter first and `end` last."""
    text = _text(text.strip())
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", ":")) else end)


def _cell(text: str) -> str:
    return _text(" ".join(text.split())).replace("|", "\\|")
