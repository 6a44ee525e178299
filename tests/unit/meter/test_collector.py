"""The cycle collector of a service that opens everything anew."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from meter.service import tune_collector


class Opened:
    """As clients of a library are: in a cycle with what they made."""

    def __init__(self) -> None:
        self.made = self


@pytest.fixture
def _collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.usefixtures("_collector")
def test_what_an_opening_left_behind_is_collected_at_the_next() -> None:
    opened = Opened()
    tune_collector()
    left = weakref.ref(opened)
    del opened
    gc.collect()
    assert left() is not None, "it was frozen, so this shows something"
    tune_collector()
    assert left() is None
