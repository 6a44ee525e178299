"""Rows become columns, and a row of the wrong width is refused."""

import pytest

from meter.runtime.postgres import transpose


def test_rows_become_columns_in_their_order() -> None:
    assert transpose([(1, "a"), (2, "b"), (3, "c")], 2) == ([1, 2, 3], ["a", "b", "c"])


def test_without_rows_every_column_is_empty() -> None:
    assert transpose([], 3) == ([], [], [])


def test_empty_columns_are_lists_of_their_own() -> None:
    first, second = transpose([], 2)
    first.append(1)
    assert second == []


@pytest.mark.parametrize("row", [(1,), (1, 2, 3)])
def test_a_row_of_another_width_is_refused(row: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="not 2"):
        transpose([(1, 2), row], 2)
