"""What the runtime asks of a Kafka client. Only types and values; nothing here imports aiokafka.

Topic names are those on the broker, prefix included. Methods raise aiokafka's errors (`meter.runtime.kafka.failures`
says which of them may pass).
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from typing import Any, Final, NamedTuple, Protocol

from schemas.reasons import Reason
from schemas.records import Record

Headers = Sequence[tuple[str, bytes]]

# What a record takes in memory beside its bytes: a tuple, two bytes objects, two integers.
RECORD_BYTES: Final = 256
# What a header takes beside its bytes: a tuple, a string, a bytes object. In a batch it takes two.
HEADER_BYTES: Final = 100


class TopicPartition(NamedTuple):
    """One partition of a topic, by the topic's name on the broker. Equal to aiokafka's tuple of the same name."""

    topic: str
    partition: int


class TopicInfo(NamedTuple):
    """A topic as the broker knows it. `topic_id` is "" when the broker gives none (before Kafka 2.8); `copies` are the
    fewest replicas of any of its partitions, 0 when unknown."""

    topic: str
    topic_id: str
    partitions: int
    config: Mapping[str, str]
    copies: int = 0


class Outgoing(NamedTuple):
    """A record of a batch that is sent. `timestamp_ms` None: now."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int | None


class RawRecord(Protocol):
    """A record in the client's own form: the fields that the runtime reads."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


class UnreadRecords(NamedTuple):
    """Stands in the place of records that cannot be read, or are too large to be read: offsets [offset, to_offset).

    `key` and `value` are what is kept of them; `length` and `digest` (SHA-256) are of the whole.
    """

    offset: int
    to_offset: int
    timestamp: int
    key: bytes | None
    value: bytes
    reason: Reason
    detail: str
    length: int
    digest: bytes
    headers: Headers = ()
    timestamp_type: int = 0
    checksum: None = None


# What a client delivers: a record in a form of its own, or the one of the services, with the topic's logical name.
Polled = RawRecord | Record


class ReaderClient(Protocol):
    """Reads the partitions that its caller assigns, outside any group."""

    async def start(self) -> None: ...

    async def stop(self, timeout_s: float) -> None:
        """Stop within the deadline, in whatever state the client is. Never raises."""
        ...

    def assign(self, partitions: Collection[TopicPartition]) -> None: ...

    def assignment(self) -> Set[TopicPartition]: ...

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Fetch from `offset` on. Raises IllegalStateError when the partition is not assigned."""
        ...

    async def poll(
        self, partitions: Collection[TopicPartition], *, timeout_ms: int, max_records: int
    ) -> Mapping[TopicPartition, Sequence[Polled]]:
        """Up to `max_records` records of these partitions; {} when `timeout_ms` passes without one.

        Records that cannot be read come as one `UnreadRecords` in their place, whatever is wrong with them.

        The caller sees `fetch_offset` as it was when the records were taken: no other task runs in between.
        """
        ...

    def fetch_offset(self, partition: TopicPartition) -> int:
        """The offset that the client delivers next; 0 while it has none."""
        ...

    def highwater(self, partition: TopicPartition) -> int | None:
        """The end offset that came with the last fetch of an assigned partition; None before the first fetch."""
        ...

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]: ...

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]: ...

    async def describe_topic(self, name: str) -> TopicInfo | None:
        """None: there is no such topic."""
        ...


class ConsumerClient(ReaderClient, Protocol):
    """A member of a consumer group: the group assigns its partitions. `stop` leaves the group, also in a rebalance."""

    def subscribe(
        self,
        topics: Collection[str],
        *,
        on_revoked: Callable[[], None],
        on_assigned: Callable[[Collection[TopicPartition]], None],
    ) -> None:
        """Join with these topics at `start`. aiokafka only logs what the callbacks raise, so they must not fail."""
        ...

    def pause(self, *partitions: TopicPartition) -> None: ...

    def resume(self, *partitions: TopicPartition) -> None: ...

    def gather(self, wait_s: float, *, is_idle: bool) -> None:
        """For how long fetches are to wait for more records from now on; 0: they bring the first at once. `is_idle`:
        none has come for long, so that a fetch may stand for longer."""
        ...

    def has_stopped_fetching(self) -> bool:
        """Whether the task that fetches is dead, or the one that learns of new leaders. `poll` then returns {} for ever
        and raises nothing."""
        ...

    def check_group(self) -> None:
        """Raise an error of the group that nobody has taken yet; the client does not join again before that."""
        ...

    def has_leader(self, partition: TopicPartition) -> bool:
        """As far as the client knows."""
        ...

    def stay(self) -> None:
        """Nothing is to be polled, and the caller lives: else the client leaves the group after five minutes, and joins
        again only once it is polled."""
        ...

    def last_stable_offset(self, partition: TopicPartition) -> int | None:
        """End of the committed transactions as of the last fetch of an assigned partition; None or -1: not known."""
        ...

    def fetched_at(self, partition: TopicPartition) -> int | None:
        """When the last fetch of an assigned partition was answered without an error (ms, by the clock of this
        machine); None before the first."""
        ...

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None: ...

    async def fetch_committed(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """What the group has committed; partitions without are missing."""
        ...

    async def describe_topic(self, name: str) -> TopicInfo | None:
        """Identity and partitions; None when there is no such topic. Never creates it."""
        ...


class ProducerClient(Protocol):
    async def start(self) -> None: ...

    async def stop(self, timeout_s: float) -> None:
        """Flush and close within the deadline; then nothing more is sent, and acks that are out fail. Never raises."""
        ...

    async def send(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        headers: Headers,
        timestamp_ms: int | None,
    ) -> "asyncio.Future[Any]":
        """Buffer a record (wait while the buffer is full); the future resolves when all replicas have it."""
        ...

    async def send_batch(
        self, topic: str, partition: int, records: Sequence[Outgoing]
    ) -> "tuple[int, asyncio.Future[Any]]":
        """Buffer the first of these records as one batch, which lands whole or not at all. How many it took (at least
        one), and a future with the `offset` of the first (-1: not known) that resolves when all replicas have it.

        Raises MessageSizeTooLargeError for a first record that is too large, before anything is sent.
        """
        ...

    async def count_partitions(self, topic: str) -> int: ...

    async def flush(self) -> None: ...

    async def describe_topic(self, name: str) -> TopicInfo | None: ...


class AdminClient(Protocol):
    async def start(self) -> None: ...

    async def stop(self, timeout_s: float) -> None:
        """Close within the deadline. Never raises."""
        ...

    async def describe_topic(self, name: str) -> TopicInfo | None: ...

    async def fetch_config(self, name: str) -> Mapping[str, str]:
        """The topic's configuration; {} from a broker that does not know the request.

        Raises TopicAuthorizationFailedError.
        """
        ...

    async def create_topic(
        self, name: str, *, partitions: int, replication_factor: int, config: Mapping[str, str]
    ) -> Exception | None:
        """Create the topic. Returns the broker's refusal; None when the topic is there, whoever created it."""
        ...

    async def delete_topic(self, name: str) -> Exception | None: ...
