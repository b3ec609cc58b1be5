"""How many operators the functions of an ONNX file become once every call is replaced by its body."""

from collections import Counter
from dataclasses import dataclass, field

Name = tuple[str, str]  # domain and operator

_DOMAIN_NAMES = {"ai.onnx": ""}  # two names of one domain


def operator_name(domain: str, operator: str) -> Name:
    """Return the name of an operator or function."""
    return _DOMAIN_NAMES.get(domain, domain), operator


@dataclass
class Body:
    """What a graph or a function holds."""

    operators: int = 0
    calls: Counter[Name] = field(default_factory=Counter)  # of functions of the file

    def add(self, other: "Body") -> None:
        """Add what another body holds."""
        self.operators += other.operators
        self.calls += other.calls


def called_operators(graph: Body, functions: dict[Name, Body], most: int) -> int | None:
    """Count the operators of all functions that a graph calls, directly or not.

    Args:
        graph: The graph.
        functions: The functions by name.
        most: Largest number to count to.

    Returns:
        The number; None if it is larger than `most`, or without end because a function calls itself.

    Examples:
        >>> once, twice = ("mine", "once"), ("mine", "twice")
        >>> functions = {once: Body(5), twice: Body(0, Counter({once: 2}))}
        >>> called_operators(Body(0, Counter({twice: 3})), functions, 99)
        30
    """
    total, calls = 0, graph.calls
    for _ in range(len(functions) + 1):
        if not calls:
            return total
        total += sum(times * functions[name].operators for name, times in calls.items())
        if total > most:
            return None
        inner: Counter[Name] = Counter()
        for name, times in calls.items():
            inner.update({each: times * more for each, more in functions[name].calls.items()})
        calls = inner
    return None
