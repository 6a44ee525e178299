"""A bar on a terminal, a line every LINE_EVERY_S elsewhere: events, rate and the time left. Always on stderr."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

LINE_EVERY_S = 5.0


class Advance(Protocol):
    def __call__(self, events: int) -> None: ...


class RateColumn(TextColumn):
    """Events, or what else is counted, a second."""

    def __init__(self, unit: str) -> None:
        super().__init__("")
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} {self._unit}/s")


@contextmanager
def show_progress(words: str, total: int, unit: str = "events") -> Iterator[Advance]:
    if sys.stderr.isatty():
        bar = Progress(
            TextColumn(words), BarColumn(), TaskProgressColumn(), RateColumn(unit), TimeRemainingColumn(),
            console=Console(stderr=True),
        )  # fmt: skip
        with bar:
            task = bar.add_task(words, total=total)
            yield lambda events: bar.advance(task, events)
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
