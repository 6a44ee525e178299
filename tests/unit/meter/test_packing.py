"""Packed records come out as they were."""

from hypothesis import given
from hypothesis import strategies as st

from meter.packing import pack, unpack
from schemas.records import Record
from schemas.topics import USAGE

TEXTS = st.text(st.characters())
FIELDS = st.none() | st.binary(max_size=200)
RECORDS = st.builds(
    Record,
    st.just(USAGE),
    st.just(3),
    st.integers(0, 2**62),
    st.integers(-1, 2**62),
    FIELDS,
    FIELDS,
    st.lists(st.tuples(TEXTS, FIELDS), max_size=3).map(tuple),
)


@given(st.lists(RECORDS, max_size=20))
def test_records_come_out_as_they_went_in(records: list[Record]) -> None:
    assert list(unpack(USAGE, 3, pack(records))) == records


def test_what_repeats_at_a_distance_is_kept_once() -> None:
    """60 kB of the same noise in each record: with a window of 32 KiB nothing of it would be found again."""
    noise = bytes((n * n * n >> 5) % 251 for n in range(60_000))
    records = [Record(USAGE, 3, n, 0, b"k", noise, ()) for n in range(100)]
    assert len(pack(records)) < 2 * len(pack(records[:1]))
