"""What does not work, by kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Tuple

from ._meltemi import (
    BrokenOffError,
    CallerGoneError,
    ControlPlaneError,
    Error,
    ForkError,
    NoInstanceError,
    NotRegisteredError,
    RefusedError,
    RequestError,
    ResultTooLargeError,
    SettingsError,
    TimedOutError,
    UnknownServiceError,
    UnregisteredError,
)

if TYPE_CHECKING:
    from ._response import Response

__all__ = [
    "BrokenOffError",
    "CallerGoneError",
    "ControlPlaneError",
    "Error",
    "ForkError",
    "HandlerError",
    "NoInstanceError",
    "NotRegisteredError",
    "RefusedError",
    "RequestError",
    "ResultTooLargeError",
    "SettingsError",
    "StatusError",
    "TimedOutError",
    "UnknownServiceError",
    "UnregisteredError",
]


class StatusError(Error):
    """The service has answered, but with a status that is no success."""

    __module__ = "meltemi"

    def __init__(self, response: Response) -> None:
        super().__init__(f"status {response.status}: {response.text[:200]}")
        self.response = response

    def __reduce__(self) -> Tuple[Any, ...]:
        # As it was made, not by its text: out of a process pool it comes with its response.
        return type(self), (self.response,), self.__dict__


class HandlerError(StatusError):
    """The called service's handler failed: status 500."""

    __module__ = "meltemi"
