"""Where topics end now, asked of the broker, beside what a consumer has taken in of them: `TopicEnds`."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from meter.runtime.kafka.adapter.protocols import ConsumerClient, TopicPartition
from meter.runtime.kafka.asking import not_answered
from meter.runtime.kafka.assignment import within
from meter.runtime.kafka.ends import EndsReader
from meter.runtime.kafka.failures import KafkaError, is_transient, unreachable
from meter.runtime.kafka.identity import IdentityCheck
from meter.runtime.kafka.shard_buffers import Batch, ShardBuffers
from meter.runtime.settings import Settings


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """What may pass is raised as TransientError."""
    try:
        yield
    except KafkaError as error:
        if is_transient(error):
            raise unreachable(error, doing) from error
        raise


class TopicEnds:
    """Topics are named as the code names them; `client` is the consumer's."""

    def __init__(
        self, settings: Settings, names: Mapping[str, str], buffers: ShardBuffers, identity: IdentityCheck
    ) -> None:
        """`names` has the names on the broker."""
        self._partitions = settings.partitions
        self._names = names
        self._buffers = buffers
        self._identity = identity
        self._reader = EndsReader(settings)

    async def fetch(self, client: ConsumerClient, topic: str) -> dict[int, int]:
        """Of each shard's partition, by its number; those that do not answer are missing. Raises TransientError where
        none does."""
        ends = await self._ask(client, topic, range(self._partitions), needed=False)
        return {tp.partition: end for tp, end in ends.items()}

    async def find(self, client: ConsumerClient, topic: str, batch: Batch) -> int:
        """Of the batch's partition. Where nothing but markers of transactions lies behind the batch, that is its own
        end. Raises TransientError."""
        [(tp, end)] = (await self._ask(client, topic, [batch.shard])).items()
        return batch.end[topic] if self._has_read(tp, end) else end

    async def find_all(self, client: ConsumerClient, topic: str) -> list[int]:
        """Of each partition by its number, also of those that no shard has. Where nothing but markers lies behind what
        the consumer takes in, that is its end. Raises TransientError."""
        with translated(f"reading the ends of {topic}"):
            info = await within(self._reader.describe(self._names[topic]), "describing topics")
        if info is None:
            raise self._identity.is_gone(self._names[topic])
        ends = await self._ask(client, topic, range(info.partitions))
        return [
            self._buffers.partitions[tp].in_flight_end if self._has_read(tp, end) else end for tp, end in ends.items()
        ]

    async def close(self) -> None:
        await self._reader.close()

    async def _ask(
        self, client: ConsumerClient, topic: str, numbers: Iterable[int], *, needed: bool = True
    ) -> dict[TopicPartition, int]:
        """`needed`: each of them."""
        partitions = [TopicPartition(self._names[topic], number) for number in numbers]
        doing = f"reading the ends of {topic}"
        with translated(doing):
            ends, silent = await within(self._reader.fetch(partitions), doing)
        if silent and (needed or not ends):
            raise not_answered(silent, doing)
        held = client.assignment()  # some brokers answer a little too low
        return {tp: max(ends[tp], (client.highwater(tp) or 0) if tp in held else 0) for tp in partitions if tp in ends}

    def _has_read(self, tp: TopicPartition, end: int) -> bool:
        """Whether all records below the end are in a batch, or were."""
        buffer = self._buffers.partitions.get(tp)
        return buffer is not None and not buffer.waiting and max(buffer.fetch_offset, buffer.next) >= end
