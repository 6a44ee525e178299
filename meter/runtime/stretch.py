"""A run of offsets of one partition. Apart from the Kafka client, which verbs that only look do not load."""

from typing import NamedTuple


class Stretch(NamedTuple):
    """Offsets [begin, end)."""

    begin: int
    end: int
