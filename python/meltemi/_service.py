"""A service of this program: registered, it is called by others and calls them, with an identity of its own."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import re
import sys
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

from . import _asgi, _meltemi, _wsgi
from ._call import MAX_RESULT, Caller
from ._check import expect, length, served, texts, waited_for
from ._errors import SettingsError, UnregisteredError
from ._mesh import Mesh, default_mesh
from ._response import Message
from ._serving import serving

_log = logging.getLogger("meltemi")

#: The longest request that a plain handler is given, bytes, if nothing else is said: it is read whole. An application reads
#: piece by piece, and knows itself what it takes.
MAX_REQUEST = 64 * 1024 * 1024


class ServerRequest(Message):
    """A request that a handler serves."""

    __slots__ = ("_inner",)

    def __init__(self, inner: _meltemi.ServerRequest) -> None:
        self._inner = inner

    @property
    def method(self) -> str:
        """The method."""
        return self._inner.method

    @property
    def path(self) -> str:
        """The path, as it was sent."""
        return self._inner.path

    @property
    def query(self) -> str:
        """What stands behind the question mark."""
        return self._inner.query

    @property
    def headers(self) -> List[Tuple[str, str]]:
        """The fields, as pairs of name (in lower case) and value."""
        return [(name.decode(), value.decode("latin-1")) for name, value in self._inner.raw_headers]

    @property
    def body(self) -> bytes:
        """The body."""
        return self._inner.body

    def _field(self, name: str) -> Optional[str]:
        return self._inner.header(name)

    @property
    def caller(self) -> Optional[str]:
        """Who calls, as its certificate says: `spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT`. `None` where it showed none."""
        said = self.header("x-forwarded-client-cert") or ""
        # The called side of the data path has added the last element, of the caller that it has seen itself.
        found = re.findall(r"URI=([^;,]+)", said.rpartition(",")[2])
        return found[-1] if found else None


class Reply:
    """An answer of a handler, where a text, bytes or JSON do not say enough."""

    __slots__ = ("body", "headers", "status")

    def __init__(
        self,
        body: Union[bytes, str] = b"",
        *,
        status: int = 200,
        headers: Union[Mapping[str, str], List[Tuple[str, str]], None] = None,
    ) -> None:
        self.body = body
        self.status = status
        self.headers = headers


Answer = Union[Reply, str, bytes, Dict[str, Any], List[Any], int, float, bool, None]
Handler = Callable[[ServerRequest], Answer]


class _Dispatch(NamedTuple):
    """How requests come to what serves them."""

    call: Callable[[_meltemi.ServerRequest, _meltemi.Responder], object]
    #: Whether it comes back at once, and needs no thread of its own.
    is_quick: bool
    #: Whether it reads long requests piece by piece.
    streams: bool
    max_request: int


class Service(Caller):
    """An instance of a service.

    `handler` is a callable that takes a :class:`ServerRequest` and gives text, bytes, JSON or a :class:`Reply`; `asgi` and
    `wsgi` are applications. With `forward=True` requests go to what listens on 127.0.0.1:PORT. With none of them the service
    itself says who it is and who has called.
    """

    def __init__(
        self,
        name: str,
        port: int,
        *,
        handler: Optional[Handler] = None,
        asgi: Optional[Callable[..., Any]] = None,
        wsgi: Optional[Callable[..., Any]] = None,
        forward: bool = False,
        protocol: str = "http",
        service_account: Optional[str] = None,
        labels: Optional[Mapping[str, str]] = None,
        max_request: Optional[int] = None,
        max_result: int = MAX_RESULT,
    ) -> None:
        expect(name, "name", str, "text")
        expect(port, "port", int, "a number")
        served(handler, "handler")
        served(asgi, "asgi")
        served(wsgi, "wsgi")
        waited_for(handler, "handler")
        waited_for(wsgi, "wsgi")
        if sum((handler is not None, asgi is not None, wsgi is not None, bool(forward))) > 1:
            raise SettingsError("a service has one of handler, asgi, wsgi and forward")
        if labels is not None:
            texts(labels, "labels")
        if max_request is not None:
            max_request = length(max_request, "max_request", SettingsError)
        #: The name, as it was given.
        self.name = name
        #: The name in the mesh: one of DNS, which has no `_`.
        self.host = name.lower().replace("_", "-")
        self.port = port
        self._handler = handler
        self._asgi = asgi
        self._wsgi = wsgi
        self._forward = forward
        self._protocol = protocol
        self._service_account = service_account
        self._labels = dict(labels or {})
        self._max_request = max_request
        self._max_result = length(max_result, "max_result", SettingsError)
        self._inner: Optional[_meltemi.Registered] = None
        self._running: Optional[_asgi.Application] = None
        self._mesh: Optional[Mesh] = None

    def register(
        self,
        ip: str = "127.0.0.1",
        port: Optional[int] = None,
        *,
        mesh: Optional[Mesh] = None,
        token: Optional[str] = None,
    ) -> Service:
        """Registers the instance at an address at which peers reach this machine; when it returns, callers of this mesh find it.
        Without a mesh it is the one of :func:`default_mesh`. It stays registered until it is drained or closed, or the
        program ends. `token` lets it in where the mesh's own has run out since, or is for another service account."""
        if self._inner is not None:
            raise SettingsError(f"{self.name} is registered already")
        expect(ip, "ip", str, "text")
        if token is not None:
            expect(token, "token", str, "text")
            token = token.strip()
        if port is not None:
            expect(port, "port", int, "a number")
            self.port = port
        if not 0 < self.port < 1 << 16:
            raise SettingsError(f"{self.port} is no port: from 1 to 65535")
        mesh = mesh or default_mesh()
        dispatch = None if self._forward else self._dispatch()
        try:
            self._inner = mesh._inner.register(
                self.host,
                self.port,
                ip,
                dispatch=dispatch,
                protocol=self._protocol,
                service_account=self._service_account,
                token=token,
                labels=list(self._labels.items()),
            )
        except BaseException:
            self._end()
            raise
        self._mesh = mesh
        mesh._services.add(self)
        mesh._note_caller(self._inner.name)
        _registered.add(self)
        return self

    async def aregister(
        self,
        ip: str = "127.0.0.1",
        port: Optional[int] = None,
        *,
        mesh: Optional[Mesh] = None,
        token: Optional[str] = None,
    ) -> Service:
        """The same for asyncio."""
        return await asyncio.to_thread(self.register, ip, port, mesh=mesh, token=token)

    @property
    def is_registered(self) -> bool:
        """Whether it is registered."""
        return self._inner is not None

    @property
    def id(self) -> str:
        """Its identity, `spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT`."""
        return self._calls().id

    @property
    def instance(self) -> str:
        """The name of the instance, `NAMESPACE/NAME`."""
        return self._calls().name

    @property
    def inbound(self) -> str:
        """Where the mesh reaches it, `IP:PORT`."""
        return self._calls().inbound

    @property
    def url(self) -> str:
        """What callers write: `http://HOST:PORT`."""
        return f"http://{self.host}:{self.port}"

    def drain(self) -> None:
        """Takes the instance out in order: callers let go of it, then its last request finishes."""
        inner = self._leave()
        if inner is not None:
            inner.drain()
        self._end()

    async def adrain(self) -> None:
        """The same for asyncio."""
        await asyncio.to_thread(self.drain)

    def close(self) -> None:
        """Takes the instance out at once."""
        inner = self._leave()
        if inner is not None:
            inner.close()
        self._end()

    async def __aenter__(self) -> Service:
        return self if self.is_registered else await self.aregister()

    async def __aexit__(self, *_: object) -> None:
        await self.adrain()

    def __enter__(self) -> Service:
        return self if self.is_registered else self.register()

    def __exit__(self, *_: object) -> None:
        self.drain()

    def __repr__(self) -> str:
        state = "registered" if self.is_registered else "not registered"
        return f"<Service {self.host}:{self.port}, {state}>"

    def _leave(self) -> Optional[_meltemi.Registered]:
        inner, self._inner = self._inner, None
        _registered.discard(self)
        return inner

    def _end(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.stop()

    def _calls(self) -> _meltemi.Registered:
        if self._inner is None:
            raise UnregisteredError(f"{self.name} is not registered: call register() first")
        return self._inner

    def _called_by(self) -> str:
        return self.name

    def _dispatch(self) -> _Dispatch:
        longest = sys.maxsize if self._max_request is None else self._max_request
        if self._asgi is not None:
            self._running = _asgi.Application(self._asgi, (self.host, self.port))
            return _Dispatch(self._running.dispatch, is_quick=True, streams=True, max_request=longest)
        if self._wsgi is not None:
            call = _wsgi.dispatcher(self._wsgi, (self.host, self.port))
            return _Dispatch(call, is_quick=False, streams=True, max_request=longest)
        longest = MAX_REQUEST if self._max_request is None else self._max_request
        return _Dispatch(self._by_handler(), is_quick=False, streams=False, max_request=longest)

    def _by_handler(self) -> Callable[[_meltemi.ServerRequest, _meltemi.Responder], None]:
        handler = self._say if self._handler is None else self._handler

        def dispatch(request: _meltemi.ServerRequest, responder: _meltemi.Responder) -> None:
            try:
                with serving(responder):
                    answer = handler(ServerRequest(request))
                responder.send(*_answer(answer))
            except _meltemi.CallerGoneError:
                # The caller is gone: nobody is to be told.
                return
            # `SystemExit` too: it is for the thread that runs the program, and this is none of it.
            except BaseException:
                _log.exception("a handler of %s failed", self.name)
                responder.give_up()

        return dispatch

    def _say(self, request: ServerRequest) -> Answer:
        return {"service": self.name, "port": self.port, "caller": request.caller, "path": request.path}


#: What was registered stays so, though the program may hold it no longer.
_registered: set[Service] = set()


def _answer(answer: Answer) -> Tuple[int, List[Tuple[bytes, bytes]], bytes]:
    if isinstance(answer, Reply):
        headers = answer.headers or []
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        body = answer.body.encode() if isinstance(answer.body, str) else answer.body
        return answer.status, [(name.encode(), value.encode("latin-1")) for name, value in pairs], body
    if answer is None:
        return 204, [], b""
    if isinstance(answer, (bytes, bytearray, memoryview)):
        return 200, [(b"content-type", b"application/octet-stream")], bytes(answer)
    if isinstance(answer, str):
        return 200, [(b"content-type", b"text/plain; charset=utf-8")], answer.encode()
    if inspect.isawaitable(answer):
        if inspect.iscoroutine(answer):
            answer.close()
        raise TypeError("a handler gives an answer, not what a loop is to wait for: write an ASGI application (asgi=)")
    if isinstance(answer, tuple):
        # As other frameworks have status and fields; as JSON it would be an answer that looks well.
        raise TypeError("a handler gives no tuple: Reply(body, status=..., headers=...) says more than a body")
    return 200, [(b"content-type", b"application/json")], json.dumps(answer).encode()
