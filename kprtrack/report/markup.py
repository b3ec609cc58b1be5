"""HTML in which every text is escaped unless it was made by `element`."""

from html import escape

from kprtrack.core.errors import printable

_EMPTY = frozenset(
    {"br", "img", "line", "meta", "path", "rect", "use"}
)  # without an end tag if nothing is in them


class Markup(str):
    """HTML that is safe to insert."""

    __slots__ = ()


def text(value: str) -> Markup:
    """Escape a text; control characters, such as those of a file name, are written out."""
    return Markup(escape(printable(value), quote=True))


def element(tag: str, *children: str, **attributes: object) -> Markup:
    """Make an element.

    Args:
        tag: Its name.
        children: Text, which is escaped, and elements.
        attributes: By name, with "_" for "-" and "class_" for "class"; those that are None are left out.

    Examples:
        >>> element("p", "a < b", element("b", "c"), class_="note")
        '<p class="note">a &lt; b<b>c</b></p>'
    """
    written = "".join(
        f' {name.removesuffix("_").replace("_", "-")}="{text(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _EMPTY and not children:
        return Markup(f"<{tag}{written}/>")
    return Markup(f"<{tag}{written}>{join(*children)}</{tag}>")


def join(*children: str) -> Markup:
    """Put text, which is escaped, and elements one after the other."""
    return Markup("".join(child if isinstance(child, Markup) else text(child) for child in children))
