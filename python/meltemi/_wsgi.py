"""WSGI applications as handlers (PEP 3333)."""

from __future__ import annotations

import io
import logging
import sys
from typing import Any, Callable, Dict, List, Optional, Tuple
from urllib.parse import unquote_to_bytes

from . import _meltemi
from ._serving import serving

_log = logging.getLogger("meltemi")


def dispatcher(
    application: Callable[..., Any], at: Tuple[str, int]
) -> Callable[[_meltemi.ServerRequest, _meltemi.Responder], None]:
    """Serves requests by an application, each on the thread that it comes on."""

    def dispatch(request: _meltemi.ServerRequest, responder: _meltemi.Responder) -> None:
        answer = _Answer(responder)
        try:
            with serving(responder):
                _run(application, _environ(request, at), answer)
        except _meltemi.CallerGoneError:
            # The caller is gone: nobody is to be told.
            return
        # `SystemExit` too: it is for the thread that runs the program, and this is none of it.
        except BaseException:
            _log.exception("the WSGI application of %s failed", at[0])
            responder.give_up()

    return dispatch


def _run(application: Callable[..., Any], environ: Dict[str, Any], answer: _Answer) -> None:
    pieces = application(environ, answer.start)
    try:
        for piece in pieces:
            answer.write(piece)
        answer.end()
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()


class _Answer:
    """What the application has said so far. Its head goes with the first piece, as PEP 3333 has it."""

    def __init__(self, responder: _meltemi.Responder) -> None:
        self._responder = responder
        self._head: Optional[Tuple[int, List[Tuple[bytes, bytes]]]] = None
        self._is_sent = False

    def start(
        self, status: str, headers: List[Tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        if exc_info and self._is_sent:
            raise exc_info[1].with_traceback(exc_info[2])
        if self._head is not None and not exc_info:
            raise AssertionError("start_response was called already")
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self._head = (int(status.split(" ", 1)[0]), fields)
        return self.write

    def write(self, piece: bytes) -> None:
        if not isinstance(piece, (bytes, bytearray, memoryview)):
            raise TypeError(f"a WSGI application answers with bytes, not with {type(piece).__name__}")
        if not piece:
            return
        self._send_head()
        self._responder.write(piece)

    def end(self) -> None:
        self._send_head()
        self._responder.end()

    def _send_head(self) -> None:
        if self._is_sent:
            return
        if self._head is None:
            raise AssertionError("start_response was not called")
        self._responder.start(*self._head)
        self._is_sent = True


class _Input(io.RawIOBase):
    """A request's body, as it comes."""

    def __init__(self, request: _meltemi.ServerRequest) -> None:
        self._request = request
        self._left = memoryview(b"")
        self._is_read = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left and not self._is_read:
            piece = self._request.read()
            self._is_read = piece is None
            self._left = memoryview(piece or b"")
        taken = min(len(buffer), len(self._left))
        buffer[:taken] = self._left[:taken]
        self._left = self._left[taken:]
        return taken


def _environ(request: _meltemi.ServerRequest, at: Tuple[str, int]) -> Dict[str, Any]:
    environ: Dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1"),
        # Bytes, one a character (PEP 3333, "Unicode Issues").
        "QUERY_STRING": request.query.encode().decode("latin-1"),
        "SERVER_NAME": at[0],
        "SERVER_PORT": str(at[1]),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body) if request.is_whole else io.BufferedReader(_Input(request)),
        # Its end is the request's, though there may be no CONTENT_LENGTH.
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if request.is_whole:
        environ["CONTENT_LENGTH"] = str(len(request.body))
    for raw, value in request.raw_headers:
        name = raw.decode("latin-1").upper().replace("-", "_")
        if name == "CONTENT_LENGTH" and request.is_whole:
            continue
        key = name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ
