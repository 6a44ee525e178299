"""Reversals, which wait for their usage, and revocations, in every event store."""

from meter.store.port import EventStore
from schemas.topics import ACCOUNTS
from tests.contract.event_store import InMemory, InPostgres, ReadLog, StoreFixtures
from tests.contract.rows import granted, opened, plan, reversal, revoked, usage


class CorrectionsContract(StoreFixtures):
    async def test_a_reversal_is_linked_to_its_usage(self, store: EventStore, read_log: ReadLog) -> None:
        """By a UUID in any case, by a text, in one batch with its usage and in a later one."""
        by_uuid, by_text = usage(0, event_id="b1a7e9f0-1c7d-4a43-9d0e-5f4e1d2c3b4a"), usage(1, event_id="request 1")
        await store.append(plan(by_uuid, by_text, reversal(0, 100_000, "request 1")))
        appended = await store.append(
            plan(
                reversal(1, 250_000, by_uuid.event_id.upper()),
                reversal(2, 150_000, "request 1", reverses_source=by_text.source),
                reversal(3, 1, "request 1"),
                reversal(4, 1, "request 1", account_id="acc-2"),
                start=(2, 1),
            )
        )
        log = await read_log(0)
        assert (appended.stored, appended.rejected, appended.waiting) == (2, 2, 0)
        assert log.links == [(3, 2, 100_000), (4, 1, 250_000), (5, 2, 150_000)]
        assert log.rejections == [(ACCOUNTS, 3, "reverses_too_much"), (ACCOUNTS, 4, "reverses_unknown")]

    async def test_ids_of_many_sources_and_accounts_are_kept_apart(self, store: EventStore, read_log: ReadLog) -> None:
        uuid = "b1a7e9f0-1c7d-4a43-9d0e-5f4e1d2c3b4a"
        rows = [
            usage(3 * n + i, event_id=event_id, source=source, account_id=account)
            for n, event_id in enumerate((uuid, "request 1"))
            for i, (source, account) in enumerate(
                (("/example/a", "acc-1"), ("/example/b", "acc-1"), ("/example/a", "acc-2"))
            )
        ]
        await store.append(plan(*rows))
        named = [
            reversal(2 * n + i, 1, event_id, reverses_source=source)
            for n, event_id in enumerate((uuid, "request 1"))
            for i, source in enumerate((None, "/example/b"))
        ]
        await store.append(plan(*named, start=(6, 0)))
        log = await read_log(0)
        assert log.links == [(7, 2, 1), (8, 5, 1)]
        assert log.rejections == [(ACCOUNTS, 0, "reverses_ambiguous"), (ACCOUNTS, 2, "reverses_ambiguous")]

    async def test_a_reversal_waits_while_there_is_usage_to_read(self, store: EventStore, read_log: ReadLog) -> None:
        early = reversal(0, 250_000, "request 1")
        appended = await store.append(plan(usage(0), early, usage_end=3))
        assert (appended.stored, appended.rejected, appended.waiting) == (1, 0, 1)
        used, again = usage(1, event_id="request 1"), early._replace(offset=1)
        await store.append(plan(used, again, reversal(2, 1, "request 2"), start=(1, 1), usage_end=2))
        log = await read_log(0)
        assert log.waiting == [(ACCOUNTS, 0, "request 1")] and log.links == [(3, 2, 250_000)]
        assert log.rejections == [(ACCOUNTS, 2, "reverses_unknown")] and log.duplicates == []

    async def test_a_revocation_is_of_what_was_granted(self, store: EventStore, read_log: ReadLog) -> None:
        await store.append(plan(opened(0), granted(1, 5_000_000, event_id="order 1")))
        events = [
            revoked(2, 5_000_001, revokes="order 1"),
            revoked(3, 5_000_000, revokes="order 1"),
            revoked(4, 1, revokes="order 1"),
            revoked(5, 75_000_001),
            revoked(6, 75_000_000),
            revoked(7, 1, revokes="order 2"),
        ]
        for event in events:
            await store.append(plan(event, start=(0, event.offset)))
        log = await read_log(0)
        assert [offset for _, _, offset in log.events] == [0, 0, 0, 1, 3, 6]
        reasons = [(offset, reason) for _, offset, reason in log.rejections]
        assert reasons == [
            (2, "revokes_too_much"), (4, "revokes_too_much"), (5, "revokes_too_much"), (7, "revokes_unknown"),
        ]  # fmt: skip

    async def test_the_usage_of_a_reversal_may_be_refused(self, store: EventStore, read_log: ReadLog) -> None:
        used, other = usage(0, event_id="request 1", name="nul\x00"), usage(1, event_id="request 2")
        appended = await store.append(
            plan(used, other, reversal(0, 1, "request 1"), reversal(1, 1, "request 2", name="\x00"))
        )
        assert (appended.stored, appended.rejected) == (1, 3)
        assert (await read_log(0)).links == []


class TestMemoryEventStore(InMemory, CorrectionsContract): ...


class TestPostgresEventStore(InPostgres, CorrectionsContract): ...
