"""A Postgres of Python values: the stores of the three services, replies to COMMIT that may be lost, and snapshots."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

from meter.plan import AppendPlan
from meter.runtime.errors import TransientError
from meter.store.port import Appended
from notifier.mail.verdict import Judgement
from notifier.model import Known, NotifyPlan, People, Saved
from notifier.store.port import ClaimedEmail
from projections.accounts import AccountState
from projections.fold import BalanceState
from projections.messages import OutboxMessage
from schemas.records import Accepted, Record
from schemas.topics import BALANCES
from tests.contract.memory_store import MemoryEventStore, Shard
from tests.simulation.virtual import WallClock, pause
from tests.unit.notifier.fakes import FakeStore

SHARDS: Final = 2
LETTER_PAUSE_S: Final = 3.0
LOSE, SWALLOW = "lose commit", "lose reply of commit"  # the COMMIT itself, and the reply to it
Result = TypeVar("Result")


class Held(NamedTuple):
    """A record that the meter will send on or once more; `usage_end` of a reversal that waits."""

    record: Record
    partition: int
    usage_end: int | None


class Commits:
    """What becomes of the next transactions of each service."""

    def __init__(self, mattered: Counter[str]) -> None:
        self._mattered = mattered
        self.faults: defaultdict[str, list[str]] = defaultdict(list)

    async def transact(self, service: str, work: Callable[..., Coroutine[Any, Any, Result]], *values: Any) -> Result:
        """Raises TransientError where the transaction, or the reply to its COMMIT, is lost: nobody knows which."""
        await pause(f"{service} before the commit")
        how = self.faults[service].pop(0) if self.faults[service] else ""
        self._mattered[how] += bool(how)
        if how == LOSE:
            raise TransientError("the connection was lost")
        done = await work(*values)
        if how == SWALLOW:
            raise TransientError("the connection was lost")
        await pause(f"{service} behind the commit")
        return done


class EventStore(MemoryEventStore):
    def __init__(self, commits: Commits) -> None:
        super().__init__(SHARDS)
        self._commits = commits
        self.times: list[list[datetime]] = [[] for _ in range(SHARDS)]  # recorded_at by position
        self.held: list[list[Held]] = [[] for _ in range(SHARDS)]

    async def append(self, plan: AppendPlan) -> Appended:
        return await self._commits.transact("meter", super().append, plan)

    def shard(self, number: int) -> Shard:
        return self._shards[number]

    def rows(self, shard: int) -> list[Accepted]:
        return self._shards[shard].rows

    def _carry_out(self, shard: Shard, plan: AppendPlan) -> Appended:
        saved = super()._carry_out(shard, plan)
        self.times[plan.shard] += [plan.recorded_at] * len(plan.rows)
        self.held[plan.shard] += [Held(moved.record, moved.partition, None) for moved in plan.rerouted]
        self.held[plan.shard] += [Held(wait.record, plan.shard, wait.usage_end) for wait in plan.waiting]
        return saved

    def copy(self) -> tuple[Any, ...]:
        return (
            {number: copy_shard(shard) for number, shard in self._shards.items()},
            copies(self.times),
            copies(self.held),
        )

    def put_back(self, kept: tuple[Any, ...]) -> None:
        shards, self.times, self.held = kept
        self._shards = shards


def copies(lists: list[list[Any]]) -> list[list[Any]]:
    return [list(each) for each in lists]


def copy_shard(shard: Shard) -> Shard:
    log = replace(shard.log, **{name: list(value) for name, value in vars(shard.log).items()})
    return replace(shard, log=log, contents=dict(shard.contents), rows=list(shard.rows))


@dataclass
class Folds:
    """What `projections` keeps."""

    cursors: list[int] = field(default_factory=lambda: [0] * SHARDS)
    balances: dict[tuple[str, int], BalanceState] = field(default_factory=dict)
    accounts: dict[str, AccountState] = field(default_factory=dict)
    outbox: list[list[OutboxMessage]] = field(default_factory=lambda: [[] for _ in range(SHARDS)])
    republish: set[int] = field(default_factory=set)  # shards whose accounts are all to be sent again

    def copy(self) -> "Folds":
        return Folds(
            list(self.cursors), dict(self.balances), dict(self.accounts), copies(self.outbox), set(self.republish)
        )


class NoticeStore(FakeStore):
    """The store in memory that a contract suite holds to the one in Postgres, with what a restore needs."""

    def __init__(self, clock: WallClock, commits: Commits, database: "Database") -> None:
        super().__init__(clock, BALANCES, SHARDS, LETTER_PAUSE_S)  # type: ignore[arg-type]  # a clock that shows now()
        self._commits = commits
        self._database = database

    async def fetch_known(self, account_ids: Collection[str], shards: Collection[int] | None = None) -> Known:
        known = await super().fetch_known(account_ids)
        return replace(known, generations=self._database.generations)

    async def fetch_people(
        self, account_ids: Collection[str], shards: Collection[int] | None = None
    ) -> Mapping[str, People]:
        accounts = self._database.folds.accounts
        return {
            name: People(None, {UUID(named.contact_id): named.address for named in accounts[name].contact_ids})
            for name in account_ids
            if name in accounts
        }

    async def save(self, plan: NotifyPlan) -> Saved:
        return await self._commits.transact("notifier", super().save, plan)

    async def claim(self, claim_s: float) -> ClaimedEmail | None:
        return await self._commits.transact("mailer", super().claim, claim_s)

    async def hand_over(self, email: ClaimedEmail, claim_s: float) -> bool:
        return await self._commits.transact("mailer", super().hand_over, email, claim_s)

    async def finish(self, email: ClaimedEmail, judgement: Judgement, pause_s: float, at: datetime) -> bool:
        return await self._commits.transact("mailer", super().finish, email, judgement, pause_s, at)

    def copy(self) -> dict[str, Any]:
        return {
            "offsets": dict(self.offsets),
            "known": self.known,
            "letters": dict(self.letters),
            "notices": dict(self.notices),
            "emails": {number: replace(email) for number, email in self.emails.items()},
            "outbox": list(self.outbox),
        }

    def put_back(self, kept: dict[str, Any]) -> None:
        for name, value in kept.items():
            setattr(self, name, value)


class Database:
    def __init__(self, clock: WallClock, mattered: Counter[str]) -> None:
        self.clock = clock
        self.commits = Commits(mattered)
        self.events = EventStore(self.commits)
        self.folds = Folds()
        self.generations: dict[int, tuple[tuple[int, int], ...]] = {}
        self.is_recalled = True
        self.notices = NoticeStore(clock, self.commits, self)

    def generation(self, shard: int) -> int:
        return max((number for number, _ in self.generations.get(shard, ())), default=1)

    def copy(self) -> tuple[Any, ...]:
        return self.events.copy(), self.folds.copy(), self.notices.copy(), self.generations, self.is_recalled

    def put_back(self, kept: tuple[Any, ...]) -> None:
        """As a backup does: whatever came later is gone."""
        events, self.folds, notices, self.generations, self.is_recalled = kept
        self.events.put_back(events)
        self.notices.put_back(notices)
