"""Of an original that is too large its beginning is packed like other records, with length and digest of the whole."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pytest

from meter.blanking import Refused, blank
from meter.bounds import bound_evidence
from meter.floods import KEPT_KEY_BYTES
from meter.packing import WHOLE, note_whole, pack, read_whole, unpack
from meter.rejection_fields import fields_for_programs
from meter.replay import find_hopeless, is_final, replay_rejections, take_out
from meter.runtime.clock import SystemClock
from meter.runtime.kafka import Landed, Message
from meter.store.evidence import encode_headers
from meter.store.rejections import Rejection
from schemas.reasons import Reason
from schemas.records import Limits, Rejected
from schemas.topics import USAGE
from tests.contract.rows import MOMENT, plan, record, rejected
from tests.support.raw_batches import ZSTD, batch
from tests.support.raw_batches import record as wire_record

LONG_KEY = b"k" * 5_000
LIMITS = Limits(partitions=1)


def store(*sent: Rejected) -> Rejection:
    """The one row that a batch of these becomes where there is no room."""
    [row] = bound_evidence(plan(*sent, room=0)).rejections
    return Rejection(
        17, 0, USAGE, row.record.offset, row.reason.value, row.detail, row.record.key, row.record.value, [], MOMENT,
        MOMENT, row.to_offset, row.length, row.digest, packed=row.offsets is not None,
    )  # fmt: skip


def test_length_and_digest_of_what_was_cut_come_out_again() -> None:
    large, small = b"v" * 70_000, b"small"
    stored = store(
        rejected(USAGE, 0, Reason.TOO_LARGE, value=large, headers=[("h", b"1")]),
        rejected(USAGE, 2, Reason.TOO_LARGE, value=small),
        rejected(USAGE, 4, Reason.TOO_LARGE, value=large + b"2"),
    )
    assert stored.packed
    first, second, third = take_out(stored)
    assert (first.original_bytes, first.original_sha256) == (70_007, sha256(b"acc-1" + large + b"h1").digest())
    assert first.headers == [("h", b"1")] and large.startswith(first.value or b"?")
    assert (second.value, second.original_bytes, second.original_sha256) == (small, None, None)
    assert third.original_sha256 == sha256(b"acc-1" + large + b"2").digest()
    shown = fields_for_programs(stored, [first, second, third], [], [])
    assert (shown["original_bytes"], shown["headers"]) == (70_007, [{"name": "h", "value": "1"}])


def test_little_on_the_wire_stays_little_where_thousands_were_cut() -> None:
    """A digest of each would be most of the row: 20,000 records with long keys came on 82 kB, and took 726 kB."""
    keys = [b"k" * (KEPT_KEY_BYTES + 6) + b"%d" % number for number in range(5_000)]
    wire = batch([wire_record(number, b"{}", key=key) for number, key in enumerate(keys)], kind=ZSTD)
    sent = [rejected(USAGE, number, key=key, value=b"{}", timestamp_ms=0) for number, key in enumerate(keys)]
    stored = store(*sent)
    assert len(stored.value or b"") < 2 * len(wire)
    assert [each.original_bytes for each in take_out(stored)] == [len(key) + 2 for key in keys]


def test_what_was_cut_for_its_key_is_no_event_also_where_it_was_packed() -> None:
    assert is_final(store(rejected(USAGE, 0, key=LONG_KEY, value=b"v" * 5_000)))
    assert is_final(store(*(rejected(USAGE, offset, key=LONG_KEY) for offset in (0, 2))))
    assert not is_final(store(*(rejected(USAGE, offset) for offset in (0, 2))))


class Kept:
    """Rejections, and a producer that keeps what it is given."""

    def __init__(self, *rejections: Rejection) -> None:
        self.rejections, self.sent = rejections, list[Message]()

    async def fetch_rejections(self, _ids: Sequence[int]) -> list[Rejection]:
        return list(self.rejections)

    async def foresee(self, *_: object) -> dict[int, Rejected]:
        return {}

    async def publish(self, messages: Sequence[Message]) -> list[Landed]:
        self.sent += messages
        return [Landed(0, number) for number, _ in enumerate(messages)]

    async def append_replay(self, *_: object) -> None: ...


async def test_of_a_row_with_both_only_what_is_whole_is_sent_again() -> None:
    """An honest record is not lost for the sake of another's that lies beside it; the other is foreseen as refused."""
    stored = store(rejected(USAGE, 0, value=b"whole"), rejected(USAGE, 2, key=LONG_KEY, value=b"cut"))
    assert not is_final(stored)
    [sentence] = find_hopeless([stored], MOMENT, LIMITS)
    assert "2 of its 2 records would be rejected again" in sentence
    kept: Any = Kept(stored)
    replays = replay_rejections(kept, kept, [17], "me", SystemClock(), LIMITS, force=True)
    assert [len(replayed.landed) async for replayed in replays] == [1]
    assert [(message.key, message.value) for message in kept.sent] == [(b"acc-1", b"whole")]


def test_nobody_can_send_a_header_of_that_name() -> None:
    named = WHOLE.encode("utf-8", "surrogatepass")
    with pytest.raises(UnicodeDecodeError):
        named.decode()
    assert named.decode("utf-8", "backslashreplace") != WHOLE
    sent = record(USAGE, 0, headers=(("whole", b"x" * 40),))
    assert read_whole(sent) == (sent, None, None)


@pytest.mark.parametrize("account", ["acc-1", "D"])
def test_who_is_forgotten_leaves_no_digest_and_the_digest_names_nobody(account: str) -> None:
    noted = note_whole(
        record(USAGE, 0, key=b"k" * KEPT_KEY_BYTES, value=b'{"subject": "acc-1"}'), 9_000, b"D" + bytes(31)
    )
    row = Refused(0, 1, USAGE, Reason.KEY_MISMATCH.value, "", None, pack([noted]), encode_headers([]), packed=True)
    blanked = blank(row, account)
    if account == "D":
        assert blanked is None
        return
    assert blanked is not None
    [left] = unpack(USAGE, 0, blanked.value or b"")
    assert (left.value, left.headers) == (None, ())
