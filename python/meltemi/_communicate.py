"""One service asks another: the request as a value, and its answer."""

from __future__ import annotations

from typing import Any, Dict, Optional, Union

from ._call import TIMEOUT, Body, Headers
from ._check import expect
from ._errors import RequestError
from ._mesh import Mesh, default_mesh
from ._response import Response
from ._service import Service


class Request:
    """What one service asks another."""

    __slots__ = (
        "body",
        "headers",
        "json",
        "max_result",
        "method",
        "path",
        "service",
        "target_service",
        "timeout",
    )

    def __init__(
        self,
        service: Union[Service, Mesh, None],
        target_service: Union[Service, str],
        *,
        method: str = "GET",
        path: str = "/",
        headers: Headers = None,
        body: Body = None,
        json: Any = None,
        max_result: Optional[int] = None,
        timeout: Optional[float] = TIMEOUT,
    ) -> None:
        #: Who asks, with whose identity: a registered service, or a mesh's own workload.
        self.service = service
        #: Who is asked: a service, or its name (`reviews`, `reviews.shop:9080`).
        self.target_service = target_service
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.json = json
        self.max_result = max_result
        self.timeout = timeout

    @property
    def url(self) -> str:
        """Where it goes."""
        expect(self.path, "path", str, "text")
        if not self.path.startswith("/"):
            raise RequestError(f"the path `{self.path}` does not begin with `/`")
        target = self.target_service
        expect(target, "target_service", (Service, str), "a service or its name")
        origin = target.url if isinstance(target, Service) else f"http://{target}"
        return origin + self.path

    def _how(self) -> Dict[str, Any]:
        """What a call is told beside method and URL."""
        return {name: getattr(self, name) for name in ("headers", "body", "json", "max_result", "timeout")}


def communicate(request: Request) -> Response:
    """Asks, and waits for the answer. Raises where there is none, or where it is no success."""
    caller = request.service or default_mesh()
    return caller.call(request.method, request.url, **request._how()).raise_for_status()


async def acommunicate(request: Request) -> Response:
    """The same for asyncio."""
    caller = request.service or default_mesh()
    return (await caller.acall(request.method, request.url, **request._how())).raise_for_status()
