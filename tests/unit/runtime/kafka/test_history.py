"""A database that went back in time: what proves it, and what is said."""

import pytest

from meter.runtime.kafka.history import History, HistoryLostError


def test_what_is_stored_once_must_stay_stored() -> None:
    history = History()
    history.note("u", 0, 7)
    history.note("u", 0, 5)
    history.check({("u", 0): 7, ("u", 1): 0}, {})
    with pytest.raises(HistoryLostError, match=r"u\[0\] is wanted from 6 on, and was stored up to 7.*meter recover"):
        history.check({("u", 0): 6}, {})


def test_it_speaks_of_the_partitions_that_are_behind_alone() -> None:
    """It said that nothing was written: others may have been, before anybody looked."""
    history = History()
    history.note("u", 0, 7)
    with pytest.raises(HistoryLostError, match="This process has stored nothing more of these partitions") as caught:
        history.check({("u", 0): 6, ("u", 1): 9}, {})
    assert "Nothing was written" not in str(caught.value)


@pytest.mark.parametrize(("committed", "behind"), [(0, False), (9, False), (10, False), (11, True)])
def test_kafka_must_not_be_ahead_of_the_database(committed: int, behind: bool) -> None:
    found = History().find_behind({("u", 0): 10}, {("u", 0): committed, ("u", 1): 99})
    assert bool(found) is behind
