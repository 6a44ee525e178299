"""What a store holds of a shard, in a form that two stores can be compared by."""

from dataclasses import dataclass, field


@dataclass
class Log:
    events: list[tuple[int, str, int]] = field(default_factory=list)  # position, event id, offset
    duplicates: list[tuple[str, int, str]] = field(default_factory=list)  # topic, offset, event id
    rejections: list[tuple[str, int, str]] = field(default_factory=list)  # topic, offset, reason
    gaps: list[tuple[str, int, int]] = field(default_factory=list)  # topic, from, to
    rerouted: list[tuple[str, int, int]] = field(default_factory=list)  # topic, offset, partition it is sent to
    links: list[tuple[int, int, int]] = field(default_factory=list)  # position, position of the usage, amount
    waiting: list[tuple[str, int, str]] = field(default_factory=list)  # topic, offset, id of the usage
    hashes: list[bytes] = field(default_factory=list)  # of the batches, in order
