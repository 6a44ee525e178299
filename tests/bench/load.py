"""Fills a topic with a workload, from several processes through librdkafka: about as fast as events are made."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from confluent_kafka import OFFSET_END, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas.topics import BALANCES, NOTIFICATIONS
from tests.bench.workload import Expected, Generator, Workload

STRUCTURED = [("content-type", b"application/cloudevents+json")]
WORKERS = 2
FLUSH_S = 120
# murmur2_random places keys as the Java client does; librdkafka's own default does not.
PRODUCER = {
    "partitioner": "murmur2_random",
    "compression.type": "lz4",
    "acks": "all",
    "linger.ms": 50,
    "message.timeout.ms": 60_000,
    "batch.size": 262_144,
    "queue.buffering.max.messages": 200_000,
}


def load_backlog(bootstrap: str, topic: str, workload: Workload) -> Expected:
    """Produce the whole workload and return what must come of it."""
    expected = Expected(workload.accounts)
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        parts = [pool.submit(_produce_share, bootstrap, topic, workload, worker) for worker in range(WORKERS)]
        for part in parts:
            expected.add(part.result())
    return expected


def _produce_share(bootstrap: str, topic: str, workload: Workload, worker: int) -> Expected:
    generator = Generator(workload, worker, WORKERS)
    sink = Sink(bootstrap, topic)
    for chunk in generator.chunks():
        for key, value in chunk:
            sink.send(key, value)
        sink.serve()
    sink.flush()
    return generator.expected


def delete_topics(bootstrap: str, prefix: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    names = [name for name in admin.list_topics(timeout=FLUSH_S).topics if name.startswith(prefix)]
    for deleted in admin.delete_topics(names).values():
        deleted.result(FLUSH_S)


def forget_runs(bootstrap: str, prefix: str) -> None:
    """Take away what the broker knows of runs before: committed offsets, published balances and notices.

    The next run has a database from before them, and services would find that it went back in time.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap})
    groups = [f"{prefix}credit-{name}" for name in ("meter", "notifier")]
    for deleted in admin.delete_consumer_groups(groups).values():
        try:
            deleted.result(FLUSH_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                raise
    known = admin.list_topics(timeout=FLUSH_S).topics
    topics = [name for name in (prefix + BALANCES, prefix + NOTIFICATIONS) if name in known]
    ends = [TopicPartition(name, number, OFFSET_END) for name in topics for number in known[name].partitions]
    for emptied in admin.delete_records(ends).values() if ends else ():
        emptied.result(FLUSH_S)


def read_ends(bootstrap: str, topic: str) -> dict[int, int]:
    """The next offset of each partition."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    numbers = admin.list_topics(topic, timeout=FLUSH_S).topics[topic].partitions
    latest = admin.list_offsets({TopicPartition(topic, number): OffsetSpec.latest() for number in numbers})
    return {place.partition: found.result(FLUSH_S).offset for place, found in latest.items()}


class Sink:
    """librdkafka's producer, where a failed delivery is an error and a full queue is waited for."""

    def __init__(self, bootstrap: str, topic: str, **options: Any) -> None:
        self._topic = topic
        self._failures: list[KafkaError] = []
        self._producer = Producer({"bootstrap.servers": bootstrap, **PRODUCER, **options})

    def send(self, key: bytes, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(self._topic, value, key, headers=STRUCTURED, on_delivery=self._note)
                return
            except BufferError:
                self._producer.poll(0.05)

    def serve(self) -> None:
        self._producer.poll(0)

    def flush(self) -> None:
        left = self._producer.flush(FLUSH_S)
        if self._failures:
            raise KafkaException(self._failures[0])
        if left:
            raise TimeoutError(f"{left} records of the backlog were not accepted within {FLUSH_S} s")

    def _note(self, error: KafkaError | None, _message: object) -> None:
        if error is not None:
            self._failures.append(error)
