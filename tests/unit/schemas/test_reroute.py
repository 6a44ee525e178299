"""Records of clients that choose partitions in their own way: sent on once, whatever else is in them."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.parsing.parse import Rerouted, parse
from schemas.reasons import Reason
from schemas.records import Accepted
from schemas.topics import REROUTED_HEADER, partition_for
from tests.unit.schemas.builders import ACCOUNT, EXAMPLES, LIMITS, NOW, STRUCTURED, make_event, record_of, reject

RIGHT = partition_for(ACCOUNT.encode(), LIMITS.partitions)
WRONG = (RIGHT + 1) % LIMITS.partitions
SENT_ON = (REROUTED_HEADER, b"3/1042")


@pytest.mark.parametrize("type", EXAMPLES)
@given(partition=st.integers(0, LIMITS.partitions - 1), key=st.sampled_from([ACCOUNT.encode(), b"", None]))
def test_a_good_event_is_stored_where_it_belongs_or_sent_there(type: str, partition: int, key: bytes | None) -> None:
    record = record_of(make_event(type), partition=partition, key=key)
    outcome = parse(record, NOW, LIMITS)
    if partition == RIGHT:
        assert isinstance(outcome, Accepted) and outcome.account_id == ACCOUNT
    else:
        assert outcome == Rerouted(record, RIGHT, ACCOUNT, make_event()["source"])


@pytest.mark.parametrize("type", EXAMPLES)
@pytest.mark.parametrize("key", [ACCOUNT.encode(), None])
def test_what_was_sent_on_is_stored_but_not_sent_on_again(type: str, key: bytes | None) -> None:
    around: dict[str, Any] = {"headers": (*STRUCTURED, SENT_ON), "key": key}
    assert isinstance(parse(record_of(make_event(type), partition=RIGHT, **around), NOW, LIMITS), Accepted)
    bad = reject(record_of(make_event(type), partition=WRONG, **around))
    assert bad.reason is Reason.WRONG_PARTITION and "3/1042" in bad.detail


@pytest.mark.parametrize("origin", [b"3/1042/6", b"3/1042/1"])
def test_what_was_sent_on_for_fewer_shards_is_sent_on_once_more(origin: bytes) -> None:
    record = record_of(make_event(), partition=WRONG, headers=(*STRUCTURED, (REROUTED_HEADER, origin)))
    assert parse(record, NOW, LIMITS) == Rerouted(record, RIGHT, ACCOUNT, make_event()["source"])


@pytest.mark.parametrize(
    "origin", [b"", b"3", b"3/1042/", b"3/1042/x", b"3/1042/-1", b"3/1042/12", b"3/1042/13", b"3/1042/99999999999999"]
)
def test_what_was_sent_on_for_as_many_shards_is_rejected(origin: bytes) -> None:
    assert LIMITS.partitions == 12
    record = record_of(make_event(), partition=WRONG, headers=(*STRUCTURED, (REROUTED_HEADER, origin)))
    assert reject(record).reason is Reason.WRONG_PARTITION


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"subject": "a b"}, Reason.INVALID_SUBJECT),
        ({"time": "1970-01-01T00:00:00Z"}, Reason.TIME_BEHIND),
        ({"data": {"credits": "-1", "guardrail": "g"}}, Reason.INVALID_AMOUNT),
        ({"source": "/credit-meter/meter"}, Reason.SOURCE_RESERVED),
    ],
)
def test_any_other_fault_comes_first(fault: dict[str, Any], reason: Reason) -> None:
    assert reject(record_of(make_event(**fault), partition=WRONG, key=None)).reason is reason


def test_the_header_takes_nothing_from_the_size_of_an_event() -> None:
    """Else the largest event would be too large once it was sent on."""
    record = record_of(make_event(), partition=RIGHT)
    assert record.value is not None
    size = len(record.value) + sum(len(name) + len(value) for name, value in record.headers)
    sent_on = record._replace(headers=(*record.headers, SENT_ON))
    assert isinstance(parse(sent_on, NOW, replace(LIMITS, max_bytes=size)), Accepted)
    assert reject(sent_on, replace(LIMITS, max_bytes=size - 1)).reason is Reason.TOO_LARGE
