"""A page of a report as an HTML parser finds it."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Self

ADDRESSES = ("src", "href", "srcset", "action", "data", "poster", "background", "xlink:href")


class ReportPage(HTMLParser):
    """Elements, text and addresses of a page.

    Args:
        html: The page.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.pieces: list[str] = []
        self._inside: list[str] = []
        self.feed(html)
        self.close()

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read a page."""
        return cls(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._inside.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self._inside.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._inside.pop() == tag, f"{tag} is closed in another order"

    def handle_data(self, data: str) -> None:
        if self._inside[-1:] != ["style"]:
            self.pieces.append(data)

    @property
    def text(self) -> str:
        """All text, without styles."""
        return " ".join(" ".join(self.pieces).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of all elements of a name."""
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def addresses(self) -> list[str]:
        """Everything that a browser may load or go to."""
        return [
            value
            for _, attributes in self.elements
            for name, value in attributes.items()
            if name in ADDRESSES
        ]
