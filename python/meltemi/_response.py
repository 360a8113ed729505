"""What a call gives."""

from __future__ import annotations

import json
from typing import Any, List, NamedTuple, Optional, Tuple, Union

from . import _meltemi
from ._errors import HandlerError, StatusError

_OK = 400
_FAILED = 500


class Message:
    """What a request that is served and an answer have in common: a body, and fields."""

    __slots__ = ()

    @property
    def body(self) -> bytes:
        """The body."""
        raise NotImplementedError

    def _field(self, name: str) -> Optional[str]:
        raise NotImplementedError

    def header(self, name: str) -> Optional[str]:
        """The first field of a name."""
        return self._field(name.lower())

    @property
    def text(self) -> str:
        """The body, as text in UTF-8."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body, as JSON."""
        return json.loads(self.body)


class _Kept(NamedTuple):
    """What an answer says, as it is written down."""

    status: int
    headers: List[Tuple[str, str]]
    body: bytes
    flags: Optional[str]

    def header(self, name: str) -> Optional[str]:
        return next((value for field, value in self.headers if field == name), None)


class Response(Message):
    """An answer. It can be copied and pickled."""

    __slots__ = ("_inner", "caller", "latency", "service", "_result")

    def __init__(
        self, inner: Union[_meltemi.Response, _Kept], caller: str, service: str, latency: float
    ) -> None:
        self._inner = inner
        #: Who has called: the name of a service, or of the program.
        self.caller = caller
        #: Who was called, as `HOST:PORT`.
        self.service = service
        #: How long the call took, seconds.
        self.latency = latency
        self._result: Optional[Result] = None

    def __reduce__(self) -> Tuple[Any, ...]:
        kept = _Kept(self.status, self.headers, self.body, self.flags)
        return type(self), (kept, self.caller, self.service, self.latency)

    def __repr__(self) -> str:
        return f"<Response {self.status} of {self.service}, {len(self.body)} bytes>"

    @property
    def status(self) -> int:
        """The status code."""
        return self._inner.status

    @property
    def ok(self) -> bool:
        """Whether it is a success."""
        return self.status < _OK

    @property
    def headers(self) -> List[Tuple[str, str]]:
        """The fields, as pairs of name (in lower case) and value."""
        return self._inner.headers

    @property
    def body(self) -> bytes:
        """The body."""
        return self._inner.body

    def _field(self, name: str) -> Optional[str]:
        return self._inner.header(name)

    @property
    def flags(self) -> Optional[str]:
        """Why the mesh has answered instead of the service, in Envoy's short words (`UH`, `FI`); `None` if it has not."""
        return self._inner.flags

    def raise_for_status(self) -> Response:
        """Raises :class:`StatusError` where it is no success, :class:`HandlerError` where the handler failed."""
        if self.ok:
            return self
        raise (HandlerError if self.status == _FAILED else StatusError)(self)

    @property
    def result(self) -> Result:
        """What it says, as something that a registry takes."""
        if self._result is None:
            self._result = Result(self)
        return self._result


class Result:
    """What one call came to. Its own `result` is itself, so that either can be handed on."""

    __slots__ = ("response",)

    def __init__(self, response: Response) -> None:
        self.response = response

    def __repr__(self) -> str:
        return f"<Result of {self.response.service}: {self.value!r}>"

    @property
    def result(self) -> Result:
        """Itself."""
        return self

    @property
    def value(self) -> Any:
        """What the service has said: JSON as what it stands for, text as text, all else as bytes. What is called JSON and is
        none is told as text (:meth:`Response.json` raises there), and `None` where an answer has no body, as one to HEAD."""
        kind = (self.response.header("content-type") or "").partition(";")[0].strip().lower()
        if kind == "application/json" or kind.endswith("+json"):
            try:
                return self.response.json() if self.response.body else None
            # Too deep for the parser, which counts by the interpreter's stack.
            except (ValueError, RecursionError):
                return self.response.text
        return self.response.text if kind.startswith("text/") else self.response.body

    @property
    def caller(self) -> str:
        """Who has called."""
        return self.response.caller

    @property
    def service(self) -> str:
        """Who was called."""
        return self.response.service

    @property
    def status(self) -> int:
        """The status code."""
        return self.response.status

    @property
    def latency(self) -> float:
        """How long the call took, seconds."""
        return self.response.latency
