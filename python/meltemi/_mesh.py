"""A mesh that this program has joined."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Optional, Union

from . import _meltemi, _outcomes
from ._call import MAX_RESULT, Caller
from ._check import expect, length
from ._errors import SettingsError

if TYPE_CHECKING:
    from ._service import Service

#: How many workloads of a program are known as its own: those that were registered last.
_MAX_CALLERS = 10_000

_PathLike = Union[str, "os.PathLike[str]"]


class Mesh(Caller):
    """A mesh that this program has joined, as a workload that calls others. Services are registered with it."""

    def __init__(self, inner: _meltemi.Mesh, *, max_result: int = MAX_RESULT) -> None:
        self._inner = inner
        self._max_result = max_result
        self._name = inner.name
        self._services: weakref.WeakSet[Service] = weakref.WeakSet()
        self._is_closed = False
        #: Who calls for this program, or did; the newest of them.
        self._callers: Dict[str, None] = {}
        self._note_caller(self._name)
        _open.add(self)

    @classmethod
    def embedded(cls, *, max_result: int = MAX_RESULT) -> Mesh:
        """Starts a control plane in this process, which goes with it, and joins its mesh."""
        max_result = length(max_result, "max_result", SettingsError)
        return cls(_meltemi.Mesh.embedded(), max_result=max_result)

    @classmethod
    def local(
        cls,
        state_dir: Optional[_PathLike] = None,
        *,
        namespace: Optional[str] = None,
        service_account: Optional[str] = None,
        name: Optional[str] = None,
        max_result: int = MAX_RESULT,
    ) -> Mesh:
        """Joins the mesh of the control plane that this user runs on this machine (`meltemi control`)."""
        max_result = length(max_result, "max_result", SettingsError)
        inner = _meltemi.Mesh.local(
            Path(state_dir) if state_dir else _state_dir(),
            namespace=namespace,
            service_account=service_account,
            name=name,
        )
        return cls(inner, max_result=max_result)

    @classmethod
    def connect(
        cls,
        control: str,
        token: str,
        *,
        trust_bundle: str,
        trust_domain: Optional[str] = None,
        namespace: Optional[str] = None,
        service_account: Optional[str] = None,
        name: Optional[str] = None,
        state_dir: Optional[_PathLike] = None,
        max_result: int = MAX_RESULT,
    ) -> Mesh:
        """Joins the mesh of a control plane elsewhere: its address (`https://HOST:15012`), a join token, and the mesh's
        root certificates in PEM, as `meltemi token create --trust-bundle-out FILE` writes them."""
        max_result = length(max_result, "max_result", SettingsError)
        expect(token, "token", str, "text")
        inner = _meltemi.Mesh.connect(
            control,
            trust_bundle,
            token.strip(),
            trust_domain=trust_domain,
            namespace=namespace,
            service_account=service_account,
            name=name,
            state_dir=Path(state_dir) if state_dir else None,
        )
        return cls(inner, max_result=max_result)

    @property
    def name(self) -> str:
        """The name of the program's own workload, `NAMESPACE/NAME`."""
        return self._name

    @property
    def id(self) -> str:
        """Its identity, `spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT`."""
        return self._inner.id

    @property
    def is_connected(self) -> bool:
        """Whether the control plane can be reached. While it cannot, what is known serves on."""
        return self._inner.is_connected

    @property
    def state_dir(self) -> Optional[Path]:
        """The state directory of a control plane of this machine, for `meltemi --state-dir`."""
        return self._inner.state_dir

    @property
    def services(self) -> List[Service]:
        """The program's services that are registered with it, by name. They stay so though the program holds them no longer."""
        registered = [service for service in self._services if service.is_registered]
        return sorted(registered, key=lambda it: (it.host, it.port))

    def outcomes(
        self,
        service: Optional[str] = None,
        *,
        window: str = "5m",
        at_least: int = 0,
        namespace: Optional[str] = None,
        own: bool = False,
    ) -> _outcomes.Outcomes:
        """What became of calls, as the registry of a control plane of this machine keeps it: of all services or of one, in
        the last `window` (`1s` to `1h`); with `namespace` of its services, and short names are read there; with `own` the calls
        alone that this program has made. What was done just now is told within a second or two; with `at_least` it is waited
        for, 10 seconds at most, until the registry knows of so many calls: of those that are asked for, so that without `own`
        those of other programs and of earlier runs within the window count as well."""
        state_dir = self.state_dir
        if state_dir is None:
            raise SettingsError("the control plane is elsewhere: ask its API, meltemi.outcomes(api=..., token=...)")
        callers = self._callers if own else None
        return _outcomes.Api.local(state_dir).outcomes(service, window, at_least, namespace, callers)

    async def aoutcomes(
        self,
        service: Optional[str] = None,
        *,
        window: str = "5m",
        at_least: int = 0,
        namespace: Optional[str] = None,
        own: bool = False,
    ) -> _outcomes.Outcomes:
        """The same for asyncio."""
        return await asyncio.to_thread(
            self.outcomes, service, window=window, at_least=at_least, namespace=namespace, own=own
        )

    def _note_caller(self, name: str) -> None:
        """A workload of this program. Its name is of this run only."""
        self._callers[name] = None
        while len(self._callers) > _MAX_CALLERS:
            self._callers.pop(next(iter(self._callers)), None)

    def close(self) -> None:
        """Takes the program's services out of the registry at once, and leaves the mesh."""
        for service in list(self._services):
            service.close()
        self._is_closed = True
        self._inner.close()
        _open.discard(self)

    async def aclose(self) -> None:
        """The same for asyncio."""
        await asyncio.to_thread(self.close)

    async def __aenter__(self) -> Mesh:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __enter__(self) -> Mesh:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Mesh joined as {self._name}>"

    def _calls(self) -> _meltemi.Mesh:
        return self._inner

    def _called_by(self) -> str:
        return self._name


_open: weakref.WeakSet[Mesh] = weakref.WeakSet()
_default: Optional[Mesh] = None
_default_lock = threading.Lock()


def default_mesh() -> Mesh:
    """The mesh of a program that names none: the one that the environment names as it does for a sidecar (MELTEMI_CONTROL,
    MELTEMI_TOKEN_FILE and MELTEMI_TRUST_BUNDLE, or MELTEMI_STATE_DIR), else an embedded one."""
    global _default
    with _default_lock:
        # One that was closed (by a test's end, say) is followed by another.
        if _default is None or _default._is_closed:
            _default = _by_environment()
        return _default


def _by_environment() -> Mesh:
    control = os.environ.get("MELTEMI_CONTROL")
    if control:
        files = {}
        for variable in ("MELTEMI_TOKEN_FILE", "MELTEMI_TRUST_BUNDLE"):
            path = os.environ.get(variable)
            if not path:
                raise SettingsError(f"MELTEMI_CONTROL needs {variable} beside it, the path of a file")
            try:
                files[variable] = Path(path).read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                raise SettingsError(f"{variable}: {error}") from error
        return Mesh.connect(
            control,
            files["MELTEMI_TOKEN_FILE"],
            trust_bundle=files["MELTEMI_TRUST_BUNDLE"],
            trust_domain=os.environ.get("MELTEMI_TRUST_DOMAIN"),
        )
    if os.environ.get("MELTEMI_STATE_DIR"):
        return Mesh.local()
    return Mesh.embedded()


def outcomes(
    service: Optional[str] = None,
    *,
    window: str = "5m",
    at_least: int = 0,
    namespace: Optional[str] = None,
    state_dir: Optional[_PathLike] = None,
    api: Optional[str] = None,
    token: Optional[str] = None,
    trust_bundle: Optional[str] = None,
    trust_domain: str = "cluster.local",
) -> _outcomes.Outcomes:
    """What became of calls, whoever made them, as :meth:`Mesh.outcomes`; for a program that need be no member of the mesh. The
    control plane is the one of a state directory of this machine, or, with `api` (`https://HOST:15080`), one elsewhere: then
    `token` is an access token (`meltemi token access`) and `trust_bundle` the mesh's roots in PEM. If neither is named it is
    the program's own mesh, where it has one that named none (:func:`default_mesh`), else what `meltemi` itself would take. A
    token that may see one namespace alone needs that one's name in `namespace`."""
    if api is not None:
        if not token or not trust_bundle:
            raise SettingsError("an API elsewhere needs an access token and the mesh's root certificates")
        return _outcomes.Api.remote(api, token, trust_bundle, trust_domain).outcomes(
            service, window, at_least, namespace
        )
    joined = _default
    if state_dir is None and joined is not None and not joined._is_closed and joined.state_dir is not None:
        return joined.outcomes(service, window=window, at_least=at_least, namespace=namespace)
    where = Path(state_dir) if state_dir else _state_dir()
    return _outcomes.Api.local(where).outcomes(service, window, at_least, namespace)


def _state_dir() -> Path:
    """The state directory that the `meltemi` command takes where none is named."""
    named = os.environ.get("MELTEMI_STATE_DIR")
    if named:
        return Path(named)
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state"
    return base / "meltemi"


@atexit.register
def _close_all() -> None:
    """Registered services leave the registry before the process ends, and an embedded control plane removes its keys."""
    for mesh in list(_open):
        mesh.close()


def _after_fork() -> None:
    """A child has no mesh of its own, and waits for no lock that a thread of its parent held."""
    global _default, _default_lock
    _default = None
    _default_lock = threading.Lock()
    _open.clear()


os.register_at_fork(after_in_child=_after_fork)
