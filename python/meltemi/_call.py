"""Calls: one code for those of a mesh and those of a service, waiting or with asyncio."""

from __future__ import annotations

import asyncio
import json as _json
import re
import time
from typing import Any, Iterable, Mapping, Optional, Tuple, Union

from . import _meltemi
from ._check import expect, length, seconds
from ._errors import RequestError
from ._loop import completions
from ._response import Response
from ._serving import served

Headers = Union[Mapping[str, str], Iterable[Tuple[str, str]], None]
Body = Union[bytes, bytearray, memoryview, str, None]
#: What the data path takes: method, URL, fields, body, the longest answer, its time,
#: and for whose answer a handler asks.
_Asked = Tuple[str, str, list[Tuple[bytes, bytes]], bytes, int, Optional[float], Optional[_meltemi.Responder]]

#: The longest result that is taken, bytes, if nothing else is said.
MAX_RESULT = 64 * 1024 * 1024
#: How long a call may take until its answer is whole, seconds, if nothing else is said.
TIMEOUT = 60.0


def _fields(headers: Headers) -> list[Tuple[bytes, bytes]]:
    if not headers:
        return []
    try:
        items = headers.items() if isinstance(headers, Mapping) else headers
        return [(name.encode(), value.encode()) for name, value in items]
    except UnicodeEncodeError as error:
        raise RequestError(f"headers: {error}") from None
    except (AttributeError, TypeError, ValueError):
        raise TypeError("headers: a mapping of text to text, or pairs of text, are expected") from None


def _content(body: Body, json: Any, fields: list[Tuple[bytes, bytes]]) -> bytes:
    if json is not None:
        if body is not None:
            raise RequestError("a request has one of body and json")
        if not any(name.lower() == b"content-type" for name, _ in fields):
            fields.append((b"content-type", b"application/json"))
        return _json.dumps(json).encode()
    if isinstance(body, bytes):
        return body
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    expect(body, "body", (bytearray, memoryview), "bytes or text")
    return bytes(body)


class Caller:
    """Whoever calls."""

    _max_result: int = MAX_RESULT

    def _calls(self) -> Union[_meltemi.Mesh, _meltemi.Registered]:
        raise NotImplementedError

    def _called_by(self) -> str:
        raise NotImplementedError

    def call(
        self,
        method: str,
        url: str,
        *,
        headers: Headers = None,
        body: Body = None,
        json: Any = None,
        max_result: Optional[int] = None,
        timeout: Optional[float] = TIMEOUT,
    ) -> Response:
        """Calls a service, `http://NAME[.NAMESPACE][:PORT]/PATH`, and waits for its answer: `timeout` seconds until it is whole,
        retries among them; `None` for as long as it takes."""
        asked = self._asked(method, url, headers, body, json, max_result, timeout)
        began = time.perf_counter()
        answer = self._calls().call(asked)
        return Response(answer, self._called_by(), _service(url), time.perf_counter() - began)

    async def acall(
        self,
        method: str,
        url: str,
        *,
        headers: Headers = None,
        body: Body = None,
        json: Any = None,
        max_result: Optional[int] = None,
        timeout: Optional[float] = TIMEOUT,
    ) -> Response:
        """The same for asyncio. Cancelled, it ends the request at the called service."""
        asked = self._asked(method, url, headers, body, json, max_result, timeout)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_meltemi.Response] = loop.create_future()
        began = time.perf_counter()
        started = self._calls().start(asked, future, completions(loop))
        try:
            answer = await future
        except asyncio.CancelledError:
            started.cancel()
            raise
        return Response(answer, self._called_by(), _service(url), time.perf_counter() - began)

    def get(self, url: str, *, headers: Headers = None, timeout: Optional[float] = TIMEOUT) -> Response:
        """`call("GET", url)`."""
        return self.call("GET", url, headers=headers, timeout=timeout)

    async def aget(self, url: str, *, headers: Headers = None, timeout: Optional[float] = TIMEOUT) -> Response:
        """`acall("GET", url)`."""
        return await self.acall("GET", url, headers=headers, timeout=timeout)

    def post(
        self,
        url: str,
        body: Body = None,
        *,
        json: Any = None,
        headers: Headers = None,
        timeout: Optional[float] = TIMEOUT,
    ) -> Response:
        """`call("POST", url, ...)`."""
        return self.call("POST", url, body=body, json=json, headers=headers, timeout=timeout)

    async def apost(
        self,
        url: str,
        body: Body = None,
        *,
        json: Any = None,
        headers: Headers = None,
        timeout: Optional[float] = TIMEOUT,
    ) -> Response:
        """`acall("POST", url, ...)`."""
        return await self.acall("POST", url, body=body, json=json, headers=headers, timeout=timeout)

    def _asked(
        self,
        method: str,
        url: str,
        headers: Headers,
        body: Body,
        json: Any,
        max_result: Optional[int],
        timeout: Optional[float],
    ) -> _Asked:
        expect(method, "method", str, "text")
        expect(url, "url", str, "text")
        fields = _fields(headers)
        limit = self._max_result if max_result is None else length(max_result, "max_result", RequestError)
        time_left = seconds(timeout, "timeout", RequestError)
        return method, url, fields, _content(body, json, fields), limit, time_left, served()


_ORIGIN = re.compile(r"[^:]*://([^/?#]*)")


def _service(url: str) -> str:
    """`HOST[:PORT]` of a URL."""
    found = _ORIGIN.match(url)
    return found[1] if found else ""
