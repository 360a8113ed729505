"""What calls came to, kept for future use."""

from __future__ import annotations

import bisect
import threading
from collections import OrderedDict, deque
from typing import Dict, Iterator, List, Optional, Union

from ._mesh import outcomes
from ._outcomes import Outcomes
from ._response import Response, Result

#: Results that are kept; of older ones only the figures are.
KEPT = 10_000
#: Latencies of a service that its picture is made of, the newest.
SAMPLES = 2_048


class Picture:
    """What the registry knows of a service."""

    __slots__ = ("calls", "failures", "latencies", "service")

    def __init__(self, service: str) -> None:
        self.service = service
        #: Calls that were added.
        self.calls = 0
        #: Those of them that were no success.
        self.failures = 0
        #: How long the newest took, seconds.
        self.latencies: deque[float] = deque(maxlen=SAMPLES)

    @property
    def success(self) -> float:
        """The share of calls that were a success."""
        return 1.0 - self.failures / self.calls if self.calls else 0.0

    def quantile(self, share: float) -> float:
        """The latency within which this share of the newest calls was answered, seconds."""
        ordered: List[float] = []
        for latency in self.latencies:
            bisect.insort(ordered, latency)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0

    def __repr__(self) -> str:
        return (
            f"<Picture of {self.service}: {self.calls} calls, {self.success:.1%} success, "
            f"p50 {self.quantile(0.5) * 1e3:.2f} ms>"
        )


class Registry:
    """Results of calls, with what they said, for this program. One that is added twice is kept once. What became of each call
    the mesh's registry knows by itself, for every program: :meth:`outcomes`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._results: OrderedDict[int, Result] = OrderedDict()
        self._pictures: Dict[str, Picture] = {}

    def add(self, result: Union[Result, Response]) -> None:
        """Adds what a call came to."""
        result = result.result
        with self._lock:
            # By identity: two calls with the same answer are two results. What is kept cannot get another's.
            if id(result) in self._results:
                return
            self._results[id(result)] = result
            if len(self._results) > KEPT:
                self._results.popitem(last=False)
            picture = self._pictures.setdefault(result.service, Picture(result.service))
            picture.calls += 1
            picture.failures += not result.response.ok
            picture.latencies.append(result.latency)

    def __len__(self) -> int:
        return len(self._results)

    def __iter__(self) -> Iterator[Result]:
        with self._lock:
            return iter(list(self._results.values()))

    def __contains__(self, result: object) -> bool:
        return id(result) in self._results

    def picture(self, service: Optional[str] = None) -> Union[Picture, List[Picture], None]:
        """What is known of a service (`HOST:PORT`, as it was called); of all if none is named."""
        with self._lock:
            if service is not None:
                return self._pictures.get(service)
            return sorted(self._pictures.values(), key=lambda it: it.service)

    def outcomes(
        self,
        service: Optional[str] = None,
        *,
        window: str = "5m",
        at_least: int = 0,
        namespace: Optional[str] = None,
    ) -> Outcomes:
        """What the mesh's registry knows of calls, those of other programs and of earlier runs among them: no call has to be
        added for that. See :func:`meltemi.outcomes`."""
        return outcomes(service, window=window, at_least=at_least, namespace=namespace)

    def table(self) -> str:
        """What is known of all services, for people."""
        lines = [f"{'SERVICE':<24} {'CALLS':>6} {'SUCCESS':>8} {'P50':>10} {'P99':>10}"]
        pictures = self.picture()
        for it in pictures if isinstance(pictures, list) else []:
            p50, p99 = (f"{it.quantile(share) * 1e3:.2f} ms" for share in (0.5, 0.99))
            lines.append(f"{it.service:<24} {it.calls:>6} {it.success:>8.1%} {p50:>10} {p99:>10}")
        return "\n".join(lines)


#: The registry of a program that needs but one.
registry = Registry()
