"""How a loop of asyncio is told of what was waited for on other threads."""

from __future__ import annotations

import asyncio
import weakref

from . import _meltemi

_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _meltemi.Completions] = (
    weakref.WeakKeyDictionary()
)


def completions(loop: asyncio.AbstractEventLoop) -> _meltemi.Completions:
    """Where a loop is told of what it waits for."""
    known = _loops.get(loop)
    if known is not None:
        return known
    # Not the loop itself: it is to go when nobody else holds it.
    held = weakref.ref(loop)

    def wake() -> None:
        live = held()
        if live is None:
            raise RuntimeError("the loop is gone")
        live.call_soon_threadsafe(made.deliver)

    made = _meltemi.Completions(wake)
    _loops[loop] = made
    return made
