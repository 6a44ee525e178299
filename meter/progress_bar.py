"""The bar of `show_progress` on a terminal. rich, which draws it, is loaded only there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

if TYPE_CHECKING:
    from meter.progress import Advance


class RateColumn(TextColumn):
    """Events, or what else is counted, a second."""

    def __init__(self, unit: str) -> None:
        super().__init__("")
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} {self._unit}/s")


@contextmanager
def draw_bar(words: str, total: int, unit: str) -> Iterator["Advance"]:
    bar = Progress(
        TextColumn(words), BarColumn(), TaskProgressColumn(), RateColumn(unit), TimeRemainingColumn(),
        console=Console(stderr=True),
    )  # fmt: skip
    with bar:
        task = bar.add_task(words, total=total)
        yield lambda events: bar.advance(task, events)
