"""A member of a Meltemi service mesh, without a sidecar.

    import meltemi

    mesh = meltemi.Mesh.embedded()                     # or Mesh.connect(...), Mesh.local(...)
    hello = meltemi.Service("hello", 8001, handler=lambda request: "hello").register("127.0.0.1", mesh=mesh)
    print(mesh.get("http://hello:8001/").text)

Each call has a form that waits and one for asyncio, whose name begins with an `a`.
"""

from ._errors import (
    BrokenOffError,
    CallerGoneError,
    ControlPlaneError,
    Error,
    ForkError,
    HandlerError,
    NoInstanceError,
    NotRegisteredError,
    RefusedError,
    RequestError,
    ResultTooLargeError,
    SettingsError,
    StatusError,
    TimedOutError,
    UnknownServiceError,
    UnregisteredError,
)
from ._communicate import Request, acommunicate, communicate
from ._mesh import Mesh, default_mesh, outcomes
from ._outcomes import Outcome, Outcomes
from ._registry import Picture, Registry, registry
from ._response import Response, Result
from ._service import Answer, Reply, ServerRequest, Service

__all__ = [
    "Answer",
    "BrokenOffError",
    "CallerGoneError",
    "ControlPlaneError",
    "Error",
    "ForkError",
    "HandlerError",
    "Mesh",
    "NoInstanceError",
    "NotRegisteredError",
    "Outcome",
    "Outcomes",
    "Picture",
    "RefusedError",
    "Registry",
    "Reply",
    "Request",
    "RequestError",
    "Response",
    "Result",
    "ResultTooLargeError",
    "ServerRequest",
    "Service",
    "SettingsError",
    "StatusError",
    "TimedOutError",
    "UnknownServiceError",
    "UnregisteredError",
    "acommunicate",
    "communicate",
    "default_mesh",
    "outcomes",
    "registry",
]
