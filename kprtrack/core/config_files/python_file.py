"""Reads a config written in Python by its syntax tree, without executing it.

A config is a series of assignments. Their values are literals, names assigned before, `dict(...)`, and
arithmetic on these; anything else is an error that names its line.
"""

import ast
import io
import keyword
import operator
import tokenize
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from kprtrack.core.config_files.limits import (
    MAX_DEPTH,
    MAX_SIZE,
    ConfigContentError,
    too_deep,
    validate_scalar,
)

# Tokens between two commas; a longer expression could nest deeper than Python's own parser can take.
_MAX_TOKENS = 60
_MAX_BITS = 1024  # of a power of whole numbers, before it is computed
_KEYWORDS_OF_VALUES = frozenset(("True", "False", "None", "not"))
_RULE = "a config is not executed: it holds assignments of literals, such as batch = 16, and dict(...)"

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
}


def read_python(text: str) -> dict[str, Any]:
    """Read the assignments of a Python file.

    Args:
        text: Content of the file.

    Returns:
        Value of each name. Names that begin with an underscore help to write the others and are left out,
        all but `_base_`.

    Raises:
        ConfigContentError: The text is no Python, or holds anything but such assignments.

    Examples:
        >>> read_python("_steps = 3\\nbatch = 2 * _steps")
        {'batch': 6}
    """
    _validate_tokens(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unusual escapes in text
            tree = ast.parse(text)
    except (MemoryError, RecursionError) as error:
        raise too_deep() from error
    except (SyntaxError, ValueError) as error:  # ValueError: a zero byte, or a number of thousands of digits
        raise _no_python(error) from error
    values = _Assignments()
    for statement in tree.body:
        values.add(statement)
    return {name: value for name, value in values.names.items() if name == "_base_" or name[0] != "_"}


def _validate_tokens(text: str) -> None:
    """Check depth and kind of all tokens, so that the parser itself cannot be overloaded."""
    depth = between_commas = 0
    for token in _tokens(text):
        if token.type == tokenize.NAME and keyword.iskeyword(token.string):
            if token.string not in _KEYWORDS_OF_VALUES:
                raise ConfigContentError(f"line {token.start[0]} has '{token.string}', but {_RULE}")
        elif token.type == tokenize.OP:
            depth += (token.string in "([{") - (token.string in ")]}")
        ends = token.type == tokenize.NEWLINE or token.string == ","
        between_commas = 0 if ends else between_commas + (token.type not in (tokenize.NL, tokenize.COMMENT))
        if depth > MAX_DEPTH:
            raise too_deep()
        if between_commas > _MAX_TOKENS:
            raise ConfigContentError(f"the expression in line {token.start[0]} is too long")


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    try:
        yield from tokenize.generate_tokens(io.StringIO(text).readline)
    except (tokenize.TokenError, SyntaxError) as error:
        raise _no_python(error) from error


def _no_python(error: Exception) -> ConfigContentError:
    line = f" in line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
    reason = error.msg if isinstance(error, SyntaxError) else str(error.args[0] if error.args else error)
    return ConfigContentError(f"it is no valid Python{line} ({reason.partition(chr(10))[0]})")


class _Assignments:
    """The names assigned so far; the work of all assignments together is bounded."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self._left = MAX_SIZE

    def add(self, statement: ast.stmt) -> None:
        """Take one statement of the file. Raises: ConfigContentError."""
        match statement:
            case ast.Expr(value=ast.Constant(value=str())) | ast.Pass():
                return  # a docstring
            case ast.Assign(targets=targets, value=expression):
                value = self._value(expression)
                for target in targets:
                    self._assign(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as expression):
                self._assign(target, self._value(expression))
            case ast.AugAssign(target=ast.Name(id=name) as target, op=op, value=expression):
                self._assign(
                    target, self._arithmetic(op, self._named(name, target), self._value(expression), target)
                )
            case _:
                raise _unreadable(statement)

    def _assign(self, target: ast.expr, value: Any) -> None:
        if not isinstance(target, ast.Name) or target.id == "dict":
            raise _unreadable(target)
        self.names[target.id] = value

    def _value(self, node: ast.expr) -> Any:
        self._spend(1)
        match node:
            case ast.Constant(value=value):
                return _scalar(value, node)
            case ast.Name(id=name):
                return self._named(name, node)
            case ast.List(elts=items):
                return self._items(items)
            case ast.Tuple(elts=items):
                return tuple(self._items(items))
            case ast.Dict(keys=keys, values=values):
                return self._dict(
                    [(k and self._value(k), self._value(v)) for k, v in zip(keys, values, strict=True)], node
                )
            case ast.Call(func=ast.Name(id="dict"), args=positional, keywords=keywords):
                spread = [(None, self._value(one)) for one in positional]
                return self._dict(spread + [(one.arg, self._value(one.value)) for one in keywords], node)
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
                return self._number(_UNARY[type(op)], (self._value(operand),), node)
            case ast.BinOp(left=left, op=op, right=right):
                return self._arithmetic(op, self._value(left), self._value(right), node)
        raise _unreadable(node)

    def _named(self, name: str, node: ast.expr) -> Any:
        if name not in self.names:
            raise ConfigContentError(
                f"line {node.lineno} uses the name {name}, which is not assigned above; write text in quotes"
            )
        return self.names[name]

    def _items(self, nodes: list[ast.expr]) -> list[Any]:
        items: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                several = self._value(node.value)
                if not isinstance(several, list | tuple):
                    raise _unreadable(node)
                self._spend(len(several))
                items += several
            else:
                items.append(self._value(node))
        return items

    def _dict(self, pairs: list[tuple[Any, Any]], node: ast.expr) -> dict[str, Any]:
        """A dict of pairs; a pair without a key is a dict whose items are taken over."""
        made: dict[str, Any] = {}
        written = set()
        for key, value in pairs:
            if key is None and isinstance(value, dict):
                self._spend(len(value))
                made |= value
            elif not isinstance(key, str):
                raise ConfigContentError(f"line {node.lineno}: the keys of a dict must be text")
            elif key in written:
                raise ConfigContentError(f"line {node.lineno}: the key {key!r} is there twice")
            else:
                made[key] = value
                written.add(key)
        return made

    def _arithmetic(self, op: ast.operator, left: Any, right: Any, node: ast.expr) -> Any:
        if type(op) not in _ARITHMETIC:
            raise _unreadable(node)
        function = _ARITHMETIC[type(op)]
        if isinstance(op, ast.Add) and type(left) is type(right) and isinstance(left, str | list | tuple):
            self._spend(len(left) + len(right))
            return function(left, right)
        if isinstance(op, ast.Mult) and isinstance(left, str | list | tuple) and isinstance(right, int):
            self._spend(len(left) * max(right, 0))
            return function(left, right)
        if isinstance(op, ast.Pow) and _bits(left, right) > _MAX_BITS:
            raise ConfigContentError(f"line {node.lineno}: the power is too large")
        return self._number(function, (left, right), node)

    def _number(self, function: Callable[..., Any], numbers: tuple[Any, ...], node: ast.expr) -> Any:
        if not all(isinstance(number, int | float) for number in numbers):
            raise ConfigContentError(f"line {node.lineno} computes with what is no number")
        try:
            result = function(*numbers)
        except (ArithmeticError, ValueError) as error:
            raise ConfigContentError(f"line {node.lineno} cannot be computed: {error}") from error
        return _scalar(result, node)

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ConfigContentError(f"it makes more than {MAX_SIZE:,} values and characters")


def _scalar(value: Any, node: ast.expr) -> Any:
    try:
        validate_scalar(value)
    except ConfigContentError as error:
        raise ConfigContentError(f"line {node.lineno}: {error}") from error
    return value


def _bits(base: Any, exponent: Any) -> int:
    """An upper limit of the bits of a power of whole numbers; 0 for what is never large."""
    if not isinstance(base, int) or not isinstance(exponent, int) or exponent < 0:
        return 0
    return base.bit_length() * exponent if abs(base) > 1 else 0


def _unreadable(node: ast.AST) -> ConfigContentError:
    line = getattr(node, "lineno", 0)
    text = ast.unparse(node).partition("\n")[0]
    return ConfigContentError(f"line {line} has '{text[:40]}', but {_RULE}")
