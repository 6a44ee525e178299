"""A bar on a terminal, a line every LINE_EVERY_S elsewhere: events, rate and the time left. Always on stderr."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

LINE_EVERY_S = 5.0


class Advance(Protocol):
    def __call__(self, events: int) -> None: ...


@contextmanager
def show_progress(words: str, total: int, unit: str = "events") -> Iterator[Advance]:
    if sys.stderr.isatty():
        from meter.progress_bar import draw_bar

        with draw_bar(words, total, unit) as advance:
            yield advance
    else:
        lines = Lines(words, total, unit)
        yield lines.advance
        lines.end()


class Lines:
    def __init__(self, words: str, total: int, unit: str) -> None:
        self._words = words
        self._total = total
        self._unit = unit
        self._done = 0
        self._started = self._printed = time.monotonic()

    def advance(self, events: int) -> None:
        self._done += events
        if time.monotonic() - self._printed >= LINE_EVERY_S:
            self._printed = time.monotonic()
            self.print_line()

    def end(self) -> None:
        self._total = self._done
        self.print_line()

    def print_line(self) -> None:
        rate = self._done / max(time.monotonic() - self._started, 1e-6)
        left_s = max(0, self._total - self._done) / rate if rate else 0
        percent = 100 if self._total == 0 else min(100, self._done * 100 // self._total)
        print(
            f"{self._words}: {percent} %, {self._done:,} {self._unit}, {rate:,.0f} {self._unit}/s, {left_s:.0f} s left",
            file=sys.stderr,
            flush=True,
        )
