"""A COPY stream in pieces of any size, cut into batches."""

from hashlib import sha256

import pytest

from meter.store.layout import encode_rows, mark_row, rows_of
from meter.store.rehash import HELD_BYTES, Cutter
from tests.contract.rows import MOMENT, usage

ROWS = [usage(offset, name=f"model-{offset}" * offset, extensions="{}") for offset in range(9)]
STREAM = encode_rows(ROWS, 3, 5, MOMENT)


def rows_between(first: int, beyond: int) -> bytes:
    return bytes(rows_of(encode_rows(ROWS[first:beyond], 3, 5 + first, MOMENT)))


@pytest.mark.parametrize("size", [1, 2, HELD_BYTES, HELD_BYTES + 1, HELD_BYTES + 2, 100, 1000, len(STREAM)])
@pytest.mark.parametrize("firsts", [[0], [0, 1], [0, 4, 8], list(range(9))], ids=str)
def test_each_batch_gets_its_own_rows(firsts: list[int], size: int) -> None:
    digests = [sha256() for _ in firsts]
    cutter = Cutter((mark_row(5 + first), digest) for first, digest in zip(firsts, digests, strict=True))
    for at in range(0, len(STREAM), size):
        cutter.add(STREAM[at : at + size])
    cutter.finish()
    expected = [rows_between(first, beyond) for first, beyond in zip(firsts, [*firsts[1:], 9], strict=True)]
    assert [digest.digest() for digest in digests] == [sha256(rows).digest() for rows in expected]


def test_a_stream_without_rows_leaves_the_hash_alone() -> None:
    digest = sha256()
    cutter = Cutter([(mark_row(1), digest)])
    cutter.add(encode_rows([], 0, 1, MOMENT))
    cutter.finish()
    assert digest.digest() == sha256().digest()
