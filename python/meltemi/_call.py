"""Calls: one code for those of a mesh and those of a service, waiting or with asyncio."""

from __future__ import annotations

import asyncio
import json as _json
import time
from typing import Any, Iterable, Mapping, Optional, Tuple, Union

from . import _meltemi
from ._loop import completions
from ._response import Response

Headers = Union[Mapping[str, str], Iterable[Tuple[str, str]], None]
Body = Union[bytes, str, None]

#: The longest result that is taken, bytes, if nothing else is said.
MAX_RESULT = 64 * 1024 * 1024


def _fields(headers: Headers, body: Body, json: Any) -> Tuple[list[Tuple[bytes, bytes]], bytes]:
    pairs: list[Tuple[bytes, bytes]] = []
    if headers:
        items = headers.items() if isinstance(headers, Mapping) else headers
        pairs = [(name.encode(), value.encode()) for name, value in items]
    if json is not None:
        body = _json.dumps(json)
        pairs.append((b"content-type", b"application/json"))
    if isinstance(body, str):
        body = body.encode()
    return pairs, body or b""


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
    ) -> Response:
        """Calls a service, `http://NAME[.NAMESPACE][:PORT]/PATH`, and waits for its answer."""
        fields, content = _fields(headers, body, json)
        began = time.perf_counter()
        answer = self._calls().call((method, url, fields, content, self._limit(max_result)))
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
    ) -> Response:
        """The same for asyncio. Cancelled, it ends the request at the called service."""
        fields, content = _fields(headers, body, json)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_meltemi.Response] = loop.create_future()
        began = time.perf_counter()
        asked = (method, url, fields, content, self._limit(max_result))
        started = self._calls().start(asked, future, completions(loop))
        try:
            answer = await future
        except asyncio.CancelledError:
            started.cancel()
            raise
        return Response(answer, self._called_by(), _service(url), time.perf_counter() - began)

    def get(self, url: str, *, headers: Headers = None) -> Response:
        """`call("GET", url)`."""
        return self.call("GET", url, headers=headers)

    async def aget(self, url: str, *, headers: Headers = None) -> Response:
        """`acall("GET", url)`."""
        return await self.acall("GET", url, headers=headers)

    def post(self, url: str, body: Body = None, *, json: Any = None, headers: Headers = None) -> Response:
        """`call("POST", url, ...)`."""
        return self.call("POST", url, body=body, json=json, headers=headers)

    async def apost(
        self, url: str, body: Body = None, *, json: Any = None, headers: Headers = None
    ) -> Response:
        """`acall("POST", url, ...)`."""
        return await self.acall("POST", url, body=body, json=json, headers=headers)

    def _limit(self, given: Optional[int]) -> int:
        return self._max_result if given is None else given


def _service(url: str) -> str:
    """`HOST[:PORT]` of a URL."""
    return url.partition("://")[2].partition("/")[0]
