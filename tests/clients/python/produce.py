"""Writes lines of standard input, "key TAB value", to a topic with librdkafka: produce.py PARTITIONER ADDRESS TOPIC

"default" is what librdkafka does unasked; "one-partition" is a producer that names a partition, always the same.
"""

import sys
from typing import Any

from confluent_kafka import Producer

partitioner, address, topic = sys.argv[1:]
settings: dict[str, Any] = {"bootstrap.servers": address}
place = {"partition": 0} if partitioner == "one-partition" else {}
if partitioner not in ("default", "one-partition"):
    settings["partitioner"] = partitioner
failures: list[object] = []
producer = Producer(settings)
for line in sys.stdin.buffer:
    key, value = line.rstrip(b"\n").split(b"\t", 1)
    producer.produce(topic, value, key, on_delivery=lambda error, _: failures.append(error) if error else None, **place)
if producer.flush(60) or failures:
    sys.exit(f"not delivered: {failures}")
