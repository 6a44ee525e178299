"""A histogram that takes many values at once, for the hot path.

`Histogram.observe` of the client library costs about a microsecond a value, as much as some steps of the ingest; here
the values are sorted, which takes little because they come nearly in order, and each bucket costs a bisect.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


class BulkHistogram(Collector):
    """One label; every value of it that is to be shown from the start is named by `begin`."""

    def __init__(
        self, name: str, help_text: str, label: str, *, buckets: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self._name = name
        self._help = help_text
        self._label = label
        self._buckets = sorted(buckets)
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}
        registry.register(self)

    def begin(self, value: str) -> None:
        self._counts.setdefault(value, [0] * (len(self._buckets) + 1))
        self._sums.setdefault(value, 0.0)

    def observe(self, value: str, seconds: Iterable[float]) -> None:
        """What clocks that differ make negative counts as 0."""
        self.begin(value)
        taken = sorted(seconds)
        if taken and taken[0] < 0:
            taken = [max(second, 0.0) for second in taken]
        counts = self._counts[value]
        ends = [0, *(bisect_right(taken, bound) for bound in self._buckets), len(taken)]
        for bucket, (begin, end) in enumerate(pairwise(ends)):
            counts[bucket] += end - begin
        self._sums[value] += sum(taken)

    def describe(self) -> Iterable[HistogramMetricFamily]:
        yield HistogramMetricFamily(self._name, self._help, labels=[self._label])

    def collect(self) -> Iterable[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._help, labels=[self._label])
        bounds = [*map(float, self._buckets), float("inf")]
        for value, counts in self._counts.items():
            shown = [(format_bound(bound), count) for bound, count in zip(bounds, accumulate(counts), strict=True)]
            family.add_metric([value], shown, self._sums[value])
        yield family


def format_bound(bound: float) -> str:
    return "+Inf" if bound == float("inf") else str(bound)
