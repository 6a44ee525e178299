"""Of an original that is too large 64 KiB are kept, among them what tells who sent it."""

from hashlib import sha256

import pytest

from meter.floods import KEPT_NAME_BYTES, cut_original
from schemas.reasons import Reason
from schemas.records import MAX_EVENT_BYTES, Record, Rejected
from schemas.topics import USAGE

LARGE = b"v" * 70_000


def cut(*headers: tuple[str, bytes], value: bytes = b"{}") -> Rejected:
    record = Record(USAGE, 0, 7, 0, b"acct-1", value, headers)
    return cut_original(Rejected(record, Reason.TOO_LARGE, "too large"))


def size(rejected: Rejected) -> int:
    record = rejected.record
    named = sum(len(name.encode()) + len(content) for name, content in record.headers)
    return len(record.key or b"") + len(record.value or b"") + named


def test_of_a_header_that_is_too_large_name_and_beginning_are_kept() -> None:
    kept = cut(("content-type", b"text/plain"), ("baggage", LARGE), ("after", b"x"))
    first, second = kept.record.headers
    assert first == ("content-type", b"text/plain")
    assert second[0] == "baggage" and second[1] == LARGE[: len(second[1])] and len(second[1]) > 60_000
    assert size(kept) == MAX_EVENT_BYTES
    whole = b"acct-1" + b"{}" + b"content-type" + b"text/plain" + b"baggage" + LARGE + b"after" + b"x"
    assert (kept.length, kept.digest) == (len(whole), sha256(whole).digest())


def test_a_name_that_is_too_large_is_cut_in_whole_characters() -> None:
    kept = cut(("é" * 40_000, b"x"))
    [(name, content)] = kept.record.headers
    assert name == "é" * (KEPT_NAME_BYTES // 2) and content == b"x"
    assert size(kept) <= MAX_EVENT_BYTES


@pytest.mark.parametrize("name", ["\ud800" * 30_000, "\\xff" * 20_000])
def test_whatever_the_name_is_no_more_than_64_kib_are_kept(name: str) -> None:
    kept = cut((name, LARGE), value=LARGE)
    assert size(kept) <= MAX_EVENT_BYTES
    assert kept.record.value == LARGE[: len(kept.record.value or b"")]
