"""Epochs that walk.py found, as the columns that statements take."""

from collections.abc import Iterable

from meter.runtime.postgres import transpose
from projections.walk import Epoch


def epoch_columns(epochs: Iterable[Epoch]) -> tuple[list[object], ...]:
    """A list for each column; amounts as text, because they have no upper end."""
    rows = [(*epoch[:5], str(epoch.granted), str(epoch.base)) for epoch in epochs]
    return transpose(rows, 7)
