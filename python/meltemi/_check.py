"""What a program gives is looked at where it is given: what is wrong is told at once, by the name of the argument."""

from __future__ import annotations

import inspect
import sys
from typing import Any, Callable, Mapping, Optional, Tuple, Type, Union

from ._errors import Error, SettingsError

_Kinds = Union[Type[Any], Tuple[Type[Any], ...]]


def expect(value: object, name: str, kinds: _Kinds, expected: str) -> None:
    """Raises where a value is of another type."""
    # `True` is an `int` of Python's, and a number of nobody's.
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is int):
        raise TypeError(f"{name}: {expected} is expected, not {type(value).__name__}")


def length(value: int, name: str, error: Callable[[str], Error]) -> int:
    """A length in bytes that is to be no negative one; one that no machine has is the longest."""
    expect(value, name, int, "a number of bytes")
    if value < 0:
        raise error(f"{name}: {value} is no number of bytes")
    return min(value, sys.maxsize)


def seconds(value: Optional[float], name: str, error: Callable[[str], Error]) -> Optional[float]:
    """How long something may take; `None` for as long as it likes."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name}: a number of seconds is expected, or None, not {type(value).__name__}")
    if not value > 0:
        raise error(f"{name}: {value} is no number of seconds above 0")
    return float(value)


def served(value: object, name: str) -> None:
    """Raises where there is something that cannot be called."""
    if value is not None and not callable(value):
        raise TypeError(f"{name}: something that can be called is expected, not {type(value).__name__}")


def waited_for(value: object, name: str) -> None:
    """Raises where what is called gives no answer, but something that an asyncio loop is to wait for."""
    called = (value, getattr(value, "__call__", None))
    if any(inspect.iscoroutinefunction(it) or inspect.isasyncgenfunction(it) for it in called):
        raise SettingsError(
            f"{name}: an async function is served by no loop: write it as an ASGI application (asgi=), or as a plain function"
        )


def texts(value: object, name: str) -> None:
    """Raises where it is no mapping of text to text."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name}: a mapping is expected, not {type(value).__name__}")
    for key, text in value.items():
        expect(key, f"{name}: a key", str, "text")
        expect(text, f"{name}: `{key}`", str, "text")
