"""ASGI applications as handlers (ASGI 3): they run on a loop of their own, on a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import threading
from typing import Any, Awaitable, Callable, Dict, List, Optional, Tuple
from urllib.parse import unquote

from . import _meltemi
from ._loop import completions
from ._serving import serving

_log = logging.getLogger("meltemi")

_Message = Dict[str, Any]

#: How long an application may take to end, seconds.
_END = 5


class Application:
    """A running application."""

    def __init__(self, application: Callable[..., Any], at: Tuple[str, int]) -> None:
        self._application = application
        self._at = at
        self._state: Dict[str, Any] = {}
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pid = os.getpid()
        self._lifespan: Optional[_Lifespan] = None
        self._thread = threading.Thread(target=self._run, name="meltemi-asgi", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        except BaseException:
            self._end_loop()
            raise

    def dispatch(self, request: _meltemi.ServerRequest, responder: _meltemi.Responder) -> None:
        """Serves a request; comes back at once."""
        self._loop.call_soon_threadsafe(self._serve, request, responder)

    def stop(self) -> None:
        """Tells the application that it ends, and ends its loop. One that does not come to an end is left to itself."""
        if os.getpid() != self._pid:
            # The thread of the loop is the parent's.
            return
        try:
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(2 * _END)
        except concurrent.futures.TimeoutError:
            _log.error("the ASGI application of %s holds up its loop", self._at[0])
        self._end_loop()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_END)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    async def _start(self) -> None:
        lifespan = _Lifespan(self._application, self._state)
        await lifespan.start()
        self._lifespan = lifespan

    async def _end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._lifespan is not None:
            try:
                await self._lifespan.end()
            except asyncio.TimeoutError:
                _log.error("the ASGI application of %s has not ended within %d s", self._at[0], _END)

    def _serve(self, request: _meltemi.ServerRequest, responder: _meltemi.Responder) -> None:
        task = self._loop.create_task(self._one(request, responder))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _one(self, request: _meltemi.ServerRequest, responder: _meltemi.Responder) -> None:
        exchange = _Exchange(request, responder, self._loop)
        try:
            with serving(responder):
                await self._application(self._scope(request), exchange.receive, exchange.send)
            if not exchange.is_over.is_set():
                _log.error("the ASGI application of %s ended before its answer", self._at[0])
        except asyncio.CancelledError:
            if not exchange.is_gone:
                raise
        # `SystemExit` too, which would end the loop, and with it the service for everybody.
        except BaseException:
            # Where the caller is gone that is why, in whatever an application's framework wraps it, and nobody is to be told.
            if not exchange.is_gone:
                _log.exception("the ASGI application of %s failed", self._at[0])
        finally:
            responder.give_up()

    def _scope(self, request: _meltemi.ServerRequest) -> Dict[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": unquote(request.path),
            "raw_path": request.path.encode(),
            "query_string": request.query.encode(),
            "root_path": "",
            "headers": request.raw_headers,
            "client": None,
            "server": self._at,
            "state": dict(self._state),
        }


class _Gone(_meltemi.CallerGoneError, OSError):
    """The caller is gone; an `OSError` too, as the specification has it for `send`."""


class _Exchange:
    """One request and its answer."""

    def __init__(
        self, request: _meltemi.ServerRequest, responder: _meltemi.Responder, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._request = request
        self._responder = responder
        self._loop = loop
        self._is_read = False
        self._head: Optional[Tuple[int, List[Tuple[bytes, bytes]]]] = None
        self._is_begun = False
        self._has_left = False
        #: Set when there is nothing more to send.
        self.is_over = asyncio.Event()
        responder.when_gone(self._tell_gone)

    def _tell_gone(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._gone)
        except RuntimeError:
            # The loop is closed: nobody waits.
            return

    @property
    def is_gone(self) -> bool:
        """Whether the caller has gone before its answer was whole."""
        return self._has_left or self._responder.is_gone

    def _gone(self) -> None:
        self._has_left = True
        self.is_over.set()

    async def receive(self) -> _Message:
        if self._is_read:
            await self.is_over.wait()
            return {"type": "http.disconnect"}
        if self._request.is_whole:
            self._is_read = True
            return {"type": "http.request", "body": self._request.body, "more_body": False}
        future: asyncio.Future[Optional[bytes]] = self._loop.create_future()
        self._request.read_soon(future, completions(self._loop))
        try:
            piece = await future
        except _meltemi.CallerGoneError:
            self._is_read = True
            self._gone()
            return {"type": "http.disconnect"}
        self._is_read = piece is None
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def send(self, message: _Message) -> None:
        try:
            await self._send(message)
        except _meltemi.CallerGoneError as error:
            self._gone()
            raise _Gone(str(error)) from error

    async def _send(self, message: _Message) -> None:
        if message["type"] == "http.response.start":
            fields = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
            self._head = (message["status"], fields)
            return
        if message["type"] != "http.response.body":
            return
        if self._head is None:
            raise RuntimeError("http.response.body came before http.response.start")
        body, has_more = message.get("body", b""), message.get("more_body", False)
        if not self._is_begun and not has_more:
            self._responder.send(*self._head, body)
            self.is_over.set()
            return
        await self._piece(body)
        if not has_more:
            self._responder.end()
            self.is_over.set()

    async def _piece(self, piece: bytes) -> None:
        if not self._is_begun and self._head is not None:
            self._responder.start(*self._head)
            self._is_begun = True
        if piece and not self._responder.try_write(piece):
            # A caller that reads slowly holds up this answer, and nothing else.
            future: asyncio.Future[None] = self._loop.create_future()
            self._responder.write_soon(piece, future, completions(self._loop))
            await future


class _Lifespan:
    """Start and end of an application, where it wants to know of them (ASGI's lifespan protocol)."""

    def __init__(self, application: Callable[..., Any], state: Dict[str, Any]) -> None:
        self._application = application
        self._scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": state,
        }
        self._told: asyncio.Queue[_Message] = asyncio.Queue()
        self._answers: asyncio.Queue[_Message] = asyncio.Queue()
        self._task: Optional[asyncio.Task[None]] = None

    async def start(self) -> None:
        self._task = asyncio.ensure_future(self._run())
        answer = await self._ask("lifespan.startup")
        if answer is not None and answer["type"] == "lifespan.startup.failed":
            raise RuntimeError(f"the ASGI application does not start: {answer.get('message', '')}")

    async def end(self) -> None:
        try:
            await asyncio.wait_for(self._ask("lifespan.shutdown"), _END)
        finally:
            if self._task is not None:
                self._task.cancel()
                await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            await self._application(self._scope, self._told.get, self._answers.put)
        except Exception as error:
            # As the specification has it, such an application knows of no lifespan.
            _log.debug("no lifespan: %s", error)
        except (SystemExit, KeyboardInterrupt) as error:
            # Out of a task it would end the loop that others wait for.
            await self._answers.put({"type": "lifespan.startup.failed", "message": repr(error)})

    async def _ask(self, what: str) -> Optional[_Message]:
        """The application's answer; `None` if it gives none any longer."""
        if self._task is None or self._task.done():
            return None
        await self._told.put({"type": what})
        answer = asyncio.ensure_future(self._answers.get())
        try:
            await asyncio.wait({answer, self._task}, return_when=asyncio.FIRST_COMPLETED)
            return answer.result() if answer.done() else None
        finally:
            answer.cancel()
