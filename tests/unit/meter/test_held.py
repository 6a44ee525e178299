"""When a reversal that waits is sent again: once all usage that was there is stored, in whatever partition it was."""

import pytest

from meter.held import Due, Held, Seen, count_left, describe_wait, find_due, origin_text, seen_of
from schemas.topics import ACCOUNTS, WAITED_HEADER
from tests.contract.rows import record

ELSEWHERE = Held(0, 7, 4, (4, 9), is_overdue=False)
OWN = ELSEWHERE._replace(usage_ends=())


@pytest.mark.parametrize(
    ("offsets", "unsent", "due"),
    [
        ({0: 4, 1: 8}, {}, False),  # the other partition is not read
        ({0: 3, 1: 9}, {}, False),  # nor is its own
        ({0: 4, 1: 9}, {(1, 0): 8}, False),  # read, and to be sent on
        ({0: 4}, {}, False),  # a partition that nobody reads
        ({0: 4, 1: 9}, {(1, 0): 9}, True),  # what came later is not waited for
        ({0: 4, 1: 9}, {(1, 2): 1}, True),  # nor what goes to other shards
        ({0: 9, 1: 99}, {}, True),
    ],
)
def test_usage_in_other_partitions_is_waited_for(
    offsets: dict[int, int], unsent: dict[tuple[int, int], int], due: bool
) -> None:
    expected = [Due(0, 7, Seen.OTHERS)] if due else []
    assert find_due([ELSEWHERE], offsets, unsent) == expected
    overdue = ELSEWHERE._replace(is_overdue=True)
    assert find_due([overdue], offsets, unsent) == expected, "it would wait again, with a row each time"


def test_what_is_known_to_be_read_depends_on_what_was_waited_for() -> None:
    """Of one that a version before let wait nothing is known, nor of one that is tried again for the time it took."""
    assert find_due([OWN], {0: 4}, {}) == [Due(0, 7, Seen.ALL)]
    assert find_due([OWN], {0: 3}, {}) == []
    assert find_due([OWN._replace(is_overdue=True)], {0: 3}, {}) == [Due(0, 7, Seen.NOTHING)]
    assert find_due([OWN._replace(usage_ends=None)], {0: 4}, {}) == [Due(0, 7, Seen.NOTHING)]


@pytest.mark.parametrize("seen", list(Seen))
def test_the_record_that_is_sent_again_says_what_was_read(seen: Seen) -> None:
    sent = record(ACCOUNTS, 0, headers=[("a", b"others"), (WAITED_HEADER, origin_text(3, 42, seen).encode())])
    assert seen_of(sent) is seen


@pytest.mark.parametrize("value", [b"", b"3/42", b"3/42/\xff", b"all of it", None])
def test_any_other_header_says_nothing(value: bytes | None) -> None:
    assert seen_of(record(ACCOUNTS, 0, headers=[(WAITED_HEADER, value)])) is Seen.NOTHING


def test_what_it_waits_for_is_said() -> None:
    assert describe_wait(ELSEWHERE, {0: 4, 1: 8}, {}) == "usage of shard 1 to be read"
    many = Held(0, 7, 4, tuple([4] * 9), is_overdue=False)
    assert describe_wait(many, {}, {}) == "usage of shards 0, 1, 2 and 6 more to be read"
    assert (count_left(many, {0: 1}), count_left(OWN, {0: 1})) == (35, 3)
    assert describe_wait(ELSEWHERE, {0: 4, 1: 9}, {(1, 0): 2}) == "usage to be sent on to its shard"
    assert describe_wait(OWN, {0: 4}, {}) == "its turn to be sent again"
