"""Compares the log with the anchors kept outside the database: what was cut or rewritten after one was published."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from meter.runtime.errors import explain
from meter.runtime.postgres import Executor, Pool, load_sql
from meter.store.damage import Damage, Finding
from schemas.build import decode_event
from schemas.outputs import ForgottenListed, LogAnchored
from schemas.reasons import InvalidEventError
from schemas.times import say_time


class Anchor(NamedTuple):
    """A head as it was published; `offset` is its place in the topic of anchors."""

    offset: int
    data: LogAnchored

    @property
    def place(self) -> str:
        return f"the anchor at offset {self.offset}, recorded {say_time(self.data.recorded_at)}"


class Contradiction(NamedTuple):
    """`hash` is what the log has for the anchor's batch, None where it has no such batch."""

    anchor: Anchor
    hash: bytes | None


def decode_anchor(offset: int, value: bytes | None) -> Anchor | Finding | None:
    """None for an entry of the list of the forgotten, which stands in the same topic."""
    try:
        data = decode_event(value or b"").data
    except InvalidEventError as error:
        return Finding(None, None, Damage.ANCHOR_UNREADABLE, f"anchor at offset {offset}: {explain(error)}")
    if isinstance(data, ForgottenListed):
        return None
    if not isinstance(data, LogAnchored):
        return Finding(None, None, Damage.ANCHOR_UNREADABLE, f"anchor at offset {offset}: {type(data).__name__}")
    return Anchor(offset, data)


@dataclass
class ShardAnchors:
    newest: int = 0  # the highest batch that was anchored
    cut: list[Anchor] = field(default_factory=list)  # the first contradiction of its kind alone
    rewritten: list[Anchor] = field(default_factory=list)
    contradictions: int = 0


class AnchorAudit:
    """Takes anchors in portions of any size; remembers a few numbers a shard."""

    def __init__(self, database: Pool | Executor, *, shard: int | None = None, first_batch: int = 1) -> None:
        self._database = database
        self._shard = shard
        self._first_batch = first_batch
        self._unreadable: list[Finding] = []
        self.by_shard: dict[int, ShardAnchors] = {}
        self.checked = 0

    async def check(self, records: Iterable[tuple[int, bytes | None]]) -> None:
        decoded = [decode_anchor(offset, value) for offset, value in records]
        self._unreadable += [item for item in decoded if isinstance(item, Finding)]
        anchors = [item for item in decoded if isinstance(item, Anchor) and self._wants(item.data)]
        for anchor in anchors:
            found = self.by_shard.setdefault(anchor.data.shard, ShardAnchors())
            found.newest = max(found.newest, anchor.data.batch)
        self.checked += len(anchors)
        for anchor, there in await self._find_contradictions(anchors):
            found = self.by_shard[anchor.data.shard]
            found.contradictions += 1
            first = found.cut if there is None else found.rewritten
            first[:] = [min([*first, anchor], key=lambda a: a.data.batch)]

    def findings(self) -> list[Finding]:
        return self._unreadable + [
            finding for shard, found in sorted(self.by_shard.items()) for finding in judge_anchors(shard, found)
        ]

    def _wants(self, data: LogAnchored) -> bool:
        return self._shard in (None, data.shard) and data.batch >= self._first_batch

    async def _find_contradictions(self, anchors: Sequence[Anchor]) -> list[Contradiction]:
        found = []
        for shard in sorted({anchor.data.shard for anchor in anchors}):
            found += await self._compare(shard, [anchor for anchor in anchors if anchor.data.shard == shard])
        return found

    async def _compare(self, shard: int, anchors: Sequence[Anchor]) -> list[Contradiction]:
        columns = [
            [anchor.data.batch for anchor in anchors],
            [anchor.data.position for anchor in anchors],
            [bytes.fromhex(anchor.data.hash) for anchor in anchors],
            [anchor.data.generation for anchor in anchors],
        ]
        rows = await self._database.fetch(load_sql("meter", "compare_anchors"), shard, *columns)
        return [Contradiction(anchors[row["index"]], row["hash"]) for row in rows]


def judge_anchors(shard: int, found: ShardAnchors) -> Iterable[Finding]:
    several = f", the first of {found.contradictions} that contradict the log" if found.contradictions > 1 else ""
    for anchor in found.cut:
        yield Finding(shard, anchor.data.batch, Damage.LOG_CUT, f"{anchor.place}, names it; it is gone{several}")
    for anchor in found.rewritten:
        detail = f"it, or a batch before it, is not what {anchor.place}, vouches for{several}"
        yield Finding(shard, anchor.data.batch, Damage.HISTORY_REWRITTEN, detail)
