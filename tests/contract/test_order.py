"""One suite for every event store: an account's records of metering.accounts are stored in their order, whether they
come in one batch or in many."""

from collections.abc import Sequence
from typing import Any

import pytest

from meter.allowance import Allowance
from meter.store.port import EventStore
from schemas.amounts import MICRO
from schemas.codes import CODES
from schemas.records import Accepted
from schemas.topics import ACCOUNTS
from tests.contract.event_store import InMemory, InPostgres, ReadLog, StoreFixtures
from tests.contract.log import Log
from tests.contract.rows import granted, opened, plan, reversal, revoked, usage

RENAMED, FORGOTTEN = CODES["account.renamed.v1"], CODES["account.forgotten.v1"]
TOGETHER = pytest.mark.parametrize("together", [True, False], ids=["in one batch", "in many"])
USED = usage(0, amount=80 * MICRO, event_id="request 1")


def renamed(offset: int, **changes: Any) -> Accepted:
    fields = {"type": RENAMED, "data": '{"display_name":"Ann"}', "name": "", "source": "/example/support"}
    return opened(offset, **(fields | changes))


async def append(store: EventStore, events: Sequence[Accepted], *, together: bool) -> None:
    """Events of accounts behind one of usage."""
    if together:
        await store.append(plan(*events, start=(1, events[0].offset)))
        return
    for event in events:
        await store.append(plan(event, start=(1, event.offset)))


def offsets_of(log: Log) -> list[int]:
    return [offset for _, _, offset in log.events]


class OrderContract(StoreFixtures):
    @TOGETHER
    async def test_a_grant_behind_a_revocation(self, store: EventStore, read_log: ReadLog, together: bool) -> None:
        """80 of 75 are used: 100 before the loss of 50 make another balance than 100 behind it."""
        await store.append(plan(opened(4), USED))
        await append(store, [revoked(5, 50 * MICRO), granted(6, 100 * MICRO)], together=together)
        assert offsets_of(await read_log(0)) == [4, 4, 4, 0, 5, 6]

    @TOGETHER
    async def test_of_one_identity_the_lower_offset_wins(
        self, store: EventStore, read_log: ReadLog, together: bool
    ) -> None:
        await store.append(plan(opened(9), USED))
        same: dict[str, Any] = {"event_id": "order 1"}
        refused = revoked(12, 99 * MICRO, event_id="order 2")
        events = [revoked(10, MICRO, **same), renamed(11, **same), refused, renamed(13, event_id="order 2")]
        await append(store, events, together=together)
        log = await read_log(0)
        assert offsets_of(log) == [9, 9, 9, 0, 10, 13]
        assert log.rejections == [(ACCOUNTS, 11, "id_reused"), (ACCOUNTS, 12, "revokes_too_much")]

    @TOGETHER
    async def test_what_follows_a_reversal(self, store: EventStore, read_log: ReadLog, together: bool) -> None:
        """Also an opening, with its free grants, and one that comes when the account is open."""
        await store.append(plan(USED))
        events = [
            reversal(0, MICRO, "request 1"),
            granted(1, 5 * MICRO),
            revoked(2, 5 * MICRO),
            opened(3),
            renamed(4),
            reversal(5, MICRO, "request 1"),
            opened(6),
        ]
        await append(store, events, together=together)
        await append(store, [revoked(7, MICRO), opened(8)], together=together)
        log = await read_log(0)
        assert offsets_of(log) == [0, 0, 1, 2, 3, 3, 3, 4, 5, 6, 7, 8]
        assert log.links == [(2, 1, MICRO), (9, 1, MICRO)]

    async def test_an_account_that_is_open_is_granted_nothing_behind_a_correction(
        self, store: EventStore, read_log: ReadLog
    ) -> None:
        """Though no free grant of it is known: its allowance was 0 when it was opened."""
        await store.append(plan(opened(0), granted(1, MICRO), allowance=Allowance(0, 0)))
        await store.append(plan(revoked(2, MICRO), opened(3), start=(0, 2)))
        assert offsets_of(await read_log(0)) == [0, 1, 2, 3]

    async def test_usage_between_what_stands_before_a_reversal_and_what_follows(
        self, store: EventStore, read_log: ReadLog
    ) -> None:
        """A reversal is linked to usage of its batch; other accounts stand before it, as do revocations."""
        events = [
            opened(0),
            revoked(1, MICRO),
            reversal(2, MICRO, "request 1"),
            granted(3, MICRO),
            opened(4, account_id="acc-2"),
            revoked(5, MICRO, account_id="acc-2"),
            granted(6, MICRO, account_id="acc-2"),
        ]
        await store.append(plan(*events, USED, usage(1, event_id="request 2", account_id="acc-2")))
        log = await read_log(0)
        assert offsets_of(log) == [0, 0, 0, 1, 4, 4, 4, 5, 6, 0, 1, 2, 3]
        assert [position for position, _, _ in log.events] == list(range(1, 14)) and log.links == [(12, 10, MICRO)]

    @TOGETHER
    async def test_what_the_database_refuses(self, store: EventStore, read_log: ReadLog, together: bool) -> None:
        """Its free grants are those of the next opening."""
        await store.append(plan(USED))
        bad = opened(2, source="nul\x00", event_id="order 1")
        events = [granted(0, MICRO), revoked(1, MICRO), bad, bad._replace(offset=3), opened(4), renamed(5)]
        await append(store, events, together=together)
        log = await read_log(0)
        assert offsets_of(log) == [0, 0, 1, 4, 4, 4, 5]
        assert log.rejections == [(ACCOUNTS, 2, "unstorable"), (ACCOUNTS, 3, "unstorable")]

    @TOGETHER
    async def test_what_has_the_id_of_what_the_database_refuses(
        self, store: EventStore, read_log: ReadLog, together: bool
    ) -> None:
        """It is judged as if that had not come, whether it says the same or something else."""
        await store.append(plan(opened(0), USED))
        same: dict[str, Any] = {"event_id": "order 1"}
        events = [
            granted(1, MICRO, **same, name="nul\x00"),
            granted(2, MICRO, **same, name="nul\x00"),
            granted(3, 5 * MICRO, **same),
            granted(4, 5 * MICRO, **same, extensions='{"a":"\x00"}'),
            revoked(5, 60 * MICRO, event_id="order 2", extensions='{"a":"\x00"}'),
            revoked(6, 60 * MICRO, event_id="order 2"),
            granted(7, MICRO, **same),
            revoked(8, 60 * MICRO, name="nul\x00"),
        ]
        await append(store, events, together=together)
        log = await read_log(0)
        assert offsets_of(log) == [0, 0, 0, 0, 3, 6]
        assert [(offset, id) for _, offset, id in log.duplicates] == [(4, "order 1")]
        assert [(offset, reason) for _, offset, reason in log.rejections] == [
            (1, "unstorable"), (2, "unstorable"), (5, "unstorable"), (7, "id_reused"), (8, "revokes_too_much"),
        ]  # fmt: skip

    @TOGETHER
    async def test_usage_with_the_id_of_what_the_database_refuses(
        self, store: EventStore, read_log: ReadLog, together: bool
    ) -> None:
        same: dict[str, Any] = {"event_id": "request 2"}
        bad = usage(1, **same, name="nul\x00")
        events = [bad, bad._replace(offset=2), usage(3, **same), usage(4, **same), usage(5, **same, amount=1)]
        await store.append(plan(USED))
        for batch in [events] if together else [[event] for event in events]:
            await store.append(plan(*batch, start=(batch[0].offset, 0)))
        log = await read_log(0)
        assert offsets_of(log) == [0, 3]
        assert [(offset, id) for _, offset, id in log.duplicates] == [(4, "request 2")]
        assert [(offset, reason) for _, offset, reason in log.rejections] == [
            (1, "unstorable"), (2, "unstorable"), (5, "id_reused"),
        ]  # fmt: skip

    @TOGETHER
    async def test_behind_a_forgetting_nobodys_name_is_compared(
        self, store: EventStore, read_log: ReadLog, together: bool
    ) -> None:
        bob = '{"display_name":"Bob"}'
        await store.append(plan(opened(0), renamed(1, event_id="name 1"), USED))
        events = [
            renamed(2, event_id="name 1", data=bob),
            opened(3, type=FORGOTTEN, data='{"reason":"asked"}', name=""),
            renamed(4, event_id="name 1", data=bob),
            renamed(5, event_id="name 2", data=bob),
            renamed(6, event_id="name 2"),
        ]
        await append(store, events, together=together)
        log = await read_log(0)
        assert offsets_of(log) == [0, 0, 0, 1, 0, 3, 5]
        assert [(offset, id) for _, offset, id in log.duplicates] == [(4, "name 1"), (6, "name 2")]
        assert [(offset, reason) for _, offset, reason in log.rejections] == [(2, "id_reused")]


class TestMemoryOrder(InMemory, OrderContract): ...


class TestPostgresOrder(InPostgres, OrderContract): ...
