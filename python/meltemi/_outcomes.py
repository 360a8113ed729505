"""What became of calls, as the control plane's registry keeps it for an hour: of each endpoint and caller."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Callable, Container, Dict, Iterable, List, Optional, Tuple
from urllib.parse import urlencode, urlsplit

from ._errors import ControlPlaneError, Error, RefusedError, SettingsError, UnknownServiceError

#: How long calls that were made may take until the registry knows of them, seconds: proxies tell each second.
TOLD_WITHIN = 10.0
#: How often it is asked meanwhile, seconds.
_ASKED_EVERY = 0.1
_OK = 200
_WRONG = 400
_UNKNOWN = 401
_FORBIDDEN = 403
_MISSING = 404
#: The API's port, where an address names none.
_PORT = 15080
#: The name that the control plane's certificate has in every mesh.
_NAME = "istiod.istio-system.svc"


class Outcome:
    """What became of the calls of one caller to one endpoint."""

    __slots__ = ("_item",)

    def __init__(self, item: Dict[str, Any]) -> None:
        self._item = item

    @property
    def service(self) -> str:
        """The called service, `HOST:PORT`."""
        return f"{self._item['service']}:{self._item['port']}"

    @property
    def endpoint(self) -> str:
        """The instance that was called."""
        return str(self._item["endpoint"])

    @property
    def caller(self) -> str:
        """The workload that has called."""
        return str(self._item["caller"])

    @property
    def calls(self) -> int:
        """How many calls there were."""
        return int(self._item["calls"])

    @property
    def success(self) -> Optional[float]:
        """The share of them that were a success."""
        share: Optional[float] = self._item["successRate"]
        return share

    @property
    def failures(self) -> Dict[str, int]:
        """The others, by kind."""
        failures: Dict[str, int] = self._item["failures"]
        return failures

    def latency(self, quantile: str) -> Optional[float]:
        """The latency within which `p50`, `p90` or `p99` of the calls were answered, seconds."""
        millis = (self._item["latencyMillis"] or {}).get(quantile)
        return None if millis is None else millis / 1e3

    def __repr__(self) -> str:
        return f"<Outcome of {self.caller} at {self.endpoint}: {self.calls} calls>"


class Outcomes(List[Outcome]):
    """What the registry tells."""

    def table(self) -> str:
        """For people: of each service how many have called it, and how it went. A latency is that of the caller in the middle,
        and of the caller that had to wait longest."""
        lines = [f"{'SERVICE':<24} {'CALLS':>6} {'CALLERS':>8} {'SUCCESS':>8} {'P50':>10} {'P99':>10}"]
        services: Dict[str, List[Outcome]] = defaultdict(list)
        for it in self:
            services[it.service.partition(".")[0] + ":" + it.service.rpartition(":")[2]].append(it)
        for service, rows in sorted(services.items()):
            calls = sum(it.calls for it in rows)
            good = sum(it.calls * (it.success or 0.0) for it in rows) / calls if calls else 0.0
            p50 = sorted(it.latency("p50") or 0.0 for it in rows)[len(rows) // 2]
            p99 = max(it.latency("p99") or 0.0 for it in rows)
            callers = len({it.caller for it in rows})
            lines.append(
                f"{service:<24} {calls:>6} {callers:>8} {good:>8.1%} {p50 * 1e3:>7.2f} ms {p99 * 1e3:>7.2f} ms"
            )
        return "\n".join(lines)


class Api:
    """A control plane's API, as this program reaches it."""

    __slots__ = ("_connect", "_token")

    def __init__(self, connect: Callable[[], http.client.HTTPConnection], token: str) -> None:
        self._connect = connect
        self._token = token

    @classmethod
    def local(cls, state_dir: Path) -> Api:
        """The one of a control plane that this user runs on this machine."""
        try:
            control = json.loads((state_dir / "control.json").read_text(encoding="utf-8"))
        except OSError as error:
            raise ControlPlaneError(f"no control plane: {error}; is `meltemi control` running?") from error
        return cls(lambda: http.client.HTTPConnection(control["api"], timeout=TOLD_WITHIN), control["token"])

    @classmethod
    def remote(cls, url: str, token: str, trust_bundle: str, trust_domain: str) -> Api:
        """The one of a control plane elsewhere: `https://HOST:PORT`, with an access token and the mesh's roots."""
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise SettingsError(f"`{url}` is no https://HOST:PORT of an API")
        host, port = parts.hostname, parts.port or _PORT
        context = _context(trust_bundle)
        expected = ("URI", f"spiffe://{trust_domain}/ns/istio-system/sa/istiod")
        return cls(lambda: _Secure(host, port, context, expected), token.strip())

    def outcomes(
        self,
        service: Optional[str],
        window: str,
        at_least: int,
        namespace: Optional[str],
        callers: Optional[Container[str]] = None,
    ) -> Outcomes:
        """Asks, until it knows of so many calls, of these callers if they are named. A service that nobody has called and nobody has registered may be one that
        will be: that is waited for as well."""
        until = time.monotonic() + TOLD_WITHIN
        while True:
            is_last = at_least <= 0 or time.monotonic() >= until
            try:
                told = self._ask(service, window, namespace)
                if callers is not None:
                    told = Outcomes(it for it in told if it.caller in callers)
            except UnknownServiceError:
                if is_last:
                    raise
            else:
                if is_last or sum(it.calls for it in told) >= at_least:
                    return told
            time.sleep(_ASKED_EVERY)

    def _ask(self, service: Optional[str], window: str, namespace: Optional[str]) -> Outcomes:
        asked = {"window": window, "service": service, "namespace": namespace}
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        try:
            connection = self._connect()
            try:
                headers = {"authorization": f"Bearer {self._token}"}
                connection.request("GET", f"/meltemi/v1/outcomes?{query}", headers=headers)
                answer = connection.getresponse()
                body = answer.read()
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise ControlPlaneError(f"no control plane: {error}") from error
        if answer.status in (_UNKNOWN, _FORBIDDEN):
            raise RefusedError(f"outcomes: {_message(body)}")
        if answer.status == _WRONG:
            raise SettingsError(f"outcomes: {_message(body)}")
        if answer.status == _MISSING:
            raise UnknownServiceError(f"outcomes: {_message(body)}")
        if answer.status != _OK:
            raise Error(f"outcomes: status {answer.status}: {_message(body)}")
        return Outcomes(_read(json.loads(body)["items"]))


class _Secure(http.client.HTTPSConnection):
    """A connection to nobody but the control plane, whose name in the mesh says who it is, not its address."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, expected: Tuple[str, str]) -> None:
        super().__init__(host, port, timeout=TOLD_WITHIN, context=context)
        self._mesh = context
        self._expected = expected

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port), self.timeout)
        self.sock = self._mesh.wrap_socket(plain, server_hostname=_NAME)
        shown = (self.sock.getpeercert() or {}).get("subjectAltName", ())
        if self._expected not in shown:
            self.close()
            raise ssl.SSLError(f"{self.host}:{self.port} is not {self._expected[1]}")


def _context(trust_bundle: str) -> ssl.SSLContext:
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=trust_bundle)
    except (ssl.SSLError, ValueError) as error:
        raise SettingsError(f"the mesh's root certificates: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def _read(items: Iterable[Dict[str, Any]]) -> Iterable[Outcome]:
    return (Outcome(item) for item in items)


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode("utf-8", "replace")
