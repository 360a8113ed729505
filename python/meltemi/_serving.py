"""Whose answer is being made: what a handler asks others meanwhile ends when nobody waits for that answer any longer.

It goes with the context (:mod:`contextvars`): into tasks of asyncio and into `asyncio.to_thread`, not into a plain thread.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import Iterator, Optional

from . import _meltemi


class _Served:
    """One answer, for as long as its handler runs: a task that outlives it asks for itself."""

    __slots__ = ("responder",)

    def __init__(self, responder: _meltemi.Responder) -> None:
        self.responder: Optional[_meltemi.Responder] = responder


_served: ContextVar[Optional[_Served]] = ContextVar("meltemi_served", default=None)


def served() -> Optional[_meltemi.Responder]:
    """The answer that this context works for."""
    here = _served.get()
    return None if here is None else here.responder


@contextmanager
def serving(responder: _meltemi.Responder) -> Iterator[None]:
    """What is called in here is called for this answer."""
    here = _Served(responder)
    token = _served.set(here)
    try:
        yield
    finally:
        _served.reset(token)
        here.responder = None
