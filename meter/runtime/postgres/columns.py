"""From rows to columns: one statement with an array per column writes any number of rows."""

from collections.abc import Collection, Sequence
from typing import Any


def transpose(rows: Collection[Sequence[Any]], width: int) -> tuple[list[Any], ...]:
    """`width` lists, one per column, for statements that `unnest` their parameters. Without rows all are empty.

    Raises ValueError when a row does not have `width` values.
    """
    columns: tuple[list[Any], ...] = tuple([] for _ in range(width))
    for row in rows:
        if len(row) != width:
            raise ValueError(f"a row has {len(row)} values, not {width}")
    for column, values in zip(columns, zip(*rows, strict=True), strict=False):
        column.extend(values)
    return columns
