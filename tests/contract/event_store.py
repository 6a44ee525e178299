"""The event stores that the contracts are held against: the fake and the real one."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable

import pytest

from meter.runtime.postgres import Pool, load_sql
from meter.store.events import PostgresEventStore
from meter.store.port import EventStore
from tests.contract.log import Log, read_postgres_log
from tests.contract.memory_store import MemoryEventStore

ReadLog = Callable[[int], Awaitable[Log]]


class StoreFixtures:
    """What every contract of event stores needs; `InMemory` and `InPostgres` bring it."""

    @pytest.fixture
    @abstractmethod
    def store(self) -> EventStore: ...

    @pytest.fixture
    @abstractmethod
    def read_log(self) -> ReadLog: ...


class InMemory(StoreFixtures):
    @pytest.fixture
    def store(self) -> MemoryEventStore:
        return MemoryEventStore(3)

    @pytest.fixture
    def read_log(self, store: MemoryEventStore) -> ReadLog:
        async def read(shard: int) -> Log:
            return store.log(shard)

        return read


class InPostgres(StoreFixtures):
    @pytest.fixture
    async def store(self, pool: Pool) -> PostgresEventStore:
        await pool.execute(load_sql("meter", "insert_shards"), 3)
        return PostgresEventStore(pool)

    @pytest.fixture
    def read_log(self, pool: Pool) -> ReadLog:
        return lambda shard: read_postgres_log(pool, shard)
