"""A limit on requests per client: a bucket that refills evenly, in bounded memory. Pure, given the time."""

from collections import OrderedDict
from typing import Final

MAX_CLIENTS: Final = 10_000


class RateLimit:
    """`per_minute` requests at once, refilled evenly. The clients seen longest ago are forgotten first."""

    def __init__(self, per_minute: int) -> None:
        self._most = float(per_minute)
        self._per_s = per_minute / 60
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str, now_s: float) -> float:
        """0 where the request may go on, else the seconds until the next one may."""
        tokens, then = self._buckets.pop(client, (self._most, now_s))
        tokens = min(self._most, tokens + (now_s - then) * self._per_s)
        allowed = tokens >= 1
        self._buckets[client] = (tokens - 1 if allowed else tokens, now_s)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / self._per_s
