"""Whose answer is being made: what a handler asks others meanwhile ends when nobody waits for that answer any longer.

It goes with the context (:mod:`contextvars`): into tasks of asyncio and into `asyncio.to_thread`, not into a plain thread.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import Iterator, Optional

from . import _meltemi

#: The answer that this context works for.
served: ContextVar[Optional[_meltemi.Responder]] = ContextVar("meltemi_served", default=None)


@contextmanager
def serving(responder: _meltemi.Responder) -> Iterator[None]:
    """What is called in here is called for this answer."""
    token = served.set(responder)
    try:
        yield
    finally:
        served.reset(token)
