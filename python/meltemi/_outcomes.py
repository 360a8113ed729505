"""What became of calls, as the control plane's registry keeps it for an hour: of each endpoint and caller."""

from __future__ import annotations

import http.client
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional
from urllib.parse import urlencode

from ._errors import ControlPlaneError, Error

#: How long calls that were made may take until the registry knows of them, seconds: proxies tell each second.
TOLD_WITHIN = 10.0
#: How often it is asked meanwhile, seconds.
_ASKED_EVERY = 0.1
_OK = 200


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
        return self._item["endpoint"]

    @property
    def caller(self) -> str:
        """The workload that has called."""
        return self._item["caller"]

    @property
    def calls(self) -> int:
        """How many calls there were."""
        return self._item["calls"]

    @property
    def success(self) -> Optional[float]:
        """The share of them that were a success."""
        return self._item["successRate"]

    @property
    def failures(self) -> Dict[str, int]:
        """The others, by kind."""
        return self._item["failures"]

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


def fetch(state_dir: Path, service: Optional[str], window: str, at_least: int) -> Outcomes:
    """Asks the control plane of a state directory, until it knows of so many calls."""
    until = time.monotonic() + TOLD_WITHIN
    while True:
        told = _ask(state_dir, service, window)
        if sum(it.calls for it in told) >= at_least or time.monotonic() >= until:
            return told
        time.sleep(_ASKED_EVERY)


def _ask(state_dir: Path, service: Optional[str], window: str) -> Outcomes:
    try:
        control = json.loads((state_dir / "control.json").read_text(encoding="utf-8"))
        connection = http.client.HTTPConnection(control["api"], timeout=TOLD_WITHIN)
        try:
            query = urlencode({"window": window, **({"service": service} if service else {})})
            headers = {"authorization": f"Bearer {control['token']}"}
            connection.request("GET", f"/meltemi/v1/outcomes?{query}", headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        raise ControlPlaneError(f"no control plane: {error}") from error
    if answer.status != _OK:
        raise Error(f"outcomes: status {answer.status}: {_message(body)}")
    return Outcomes(_read(json.loads(body)["items"]))


def _read(items: Iterable[Dict[str, Any]]) -> Iterable[Outcome]:
    return (Outcome(item) for item in items)


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode("utf-8", "replace")
