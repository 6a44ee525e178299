"""Judges what was read of the log: pure, one batch after the other."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from meter.store.damage import Damage, Finding
from meter.store.layout import GENESIS


class Link(NamedTuple):
    """The end of a batch: what the next one must follow. Without a hash nothing but its number is known."""

    batch: int
    position: int
    usage: int
    accounts: int
    hash: bytes
    generation: int = 1


START = Link(0, 0, 0, 0, GENESIS)


class BatchRow(NamedTuple):
    """The hash that a batch's rows give now; then, as `fetch_batches` has it, what it says and what is there."""

    hash: bytes
    batch: int
    sealed_hash: bytes
    previous: bytes
    first_position: int
    last_position: int
    usage_from: int
    usage_to: int
    accounts_from: int
    accounts_to: int
    stored: int
    duplicates: int
    rejected: int
    gaps: int
    rerouted: int
    waiting: int
    event_rows: int
    duplicate_rows: int
    rejection_rows: int
    rejection_offsets: int
    gap_offsets: int
    rerouted_rows: int
    waiting_rows: int
    event_offsets: int
    evidence_whole: bool  # duplicates, rejections, gaps, rerouted and waiting are those that the batch was sealed with
    offset_sum: int
    generation: int = 1
    begins: int | None = None  # the generation that the batch is recorded to begin
    pruned: bool = False  # whether its duplicates, rejections and rerouted records were removed after their retention
    moved: int | None = None  # the shard goes on behind this position, up to which its accounts were in another one

    def link(self) -> Link:
        return Link(self.batch, self.last_position, self.usage_to, self.accounts_to, self.sealed_hash, self.generation)


class Unreadable(NamedTuple):
    """A batch that the server cannot read."""

    batch: int
    why: str

    def link(self) -> Link:
        return Link(self.batch, 0, 0, 0, b"")


def check_batch(shard: int, link: Link, row: BatchRow | Unreadable) -> list[Finding]:
    found = [Finding(shard, *damage) for damage in check_link(link, row)]
    if isinstance(row, Unreadable):
        return [*found, Finding(shard, row.batch, Damage.BATCH_UNREADABLE, row.why)]
    inside = list(check_counts(row))
    changes = list(find_changes(row))
    if changes:
        found.append(Finding(shard, row.batch, Damage.BATCH_CHANGED, "; ".join([*changes, *inside])))
    elif inside:
        found.append(Finding(shard, row.batch, Damage.COUNTS_WRONG, "; ".join(inside)))
    return found


def find_changes(row: BatchRow) -> Iterator[str]:
    """Whether what is there is what was sealed."""
    if row.hash != row.sealed_hash:
        yield "its rows do not give the hash it was sealed with"
    elif not row.evidence_whole:
        yield "its duplicates, rejections, gaps, rerouted and waiting records do not give the digest it was sealed with"


def check_link(link: Link, row: BatchRow | Unreadable) -> Iterator[tuple[int, Damage, str]]:
    """Whether a batch follows the one before it."""
    if row.batch != link.batch + 1:
        wanted = link.batch + 1
        names = f"batch {wanted} is" if row.batch == wanted + 1 else f"batches {wanted} to {row.batch - 1} are"
        yield wanted, Damage.BATCH_MISSING, f"{names} missing before batch {row.batch}"
    elif isinstance(row, BatchRow) and link.hash:
        if row.previous != link.hash:
            yield row.batch, Damage.CHAIN_BROKEN, f"it does not continue the hash of batch {link.batch}"
        before = link.position if row.moved is None else row.moved
        if row.first_position != before + 1:
            detail = f"it starts at position {row.first_position}, expected {before + 1}"
            yield row.batch, Damage.POSITIONS_BROKEN, detail
        if (row.usage_from, row.accounts_from) != (link.usage, link.accounts):
            detail = (
                f"it starts at offsets {row.usage_from} (usage) and {row.accounts_from} (accounts), "
                f"expected {link.usage} and {link.accounts}"
            )
            yield row.batch, Damage.OFFSETS_BROKEN, detail
        yield from check_generation(link, row)


def check_generation(link: Link, row: BatchRow) -> Iterator[tuple[int, Damage, str]]:
    """A generation begins where it is recorded to, and is higher than the one before."""
    if row.begins is not None and row.begins <= link.generation:
        yield row.batch, Damage.GENERATION_WRONG, f"it begins generation {row.begins} behind {link.generation}"
    elif row.generation != (row.begins or link.generation):
        detail = f"it is of generation {row.generation}, expected {row.begins or link.generation}"
        yield row.batch, Damage.GENERATION_WRONG, detail


def check_counts(row: BatchRow) -> Iterator[str]:
    """Whether what is there is as much as the batch says, and accounts for every offset once."""
    for name, there, said in (
        ("events", row.event_rows, row.stored),
        ("duplicates", row.duplicate_rows, 0 if row.pruned else row.duplicates),
        ("rejections", row.rejection_rows, 0 if row.pruned else row.rejected),
        ("offsets in gaps", row.gap_offsets, row.gaps),
        ("rerouted records", row.rerouted_rows, 0 if row.pruned else row.rerouted),
        ("waiting reversals", row.waiting_rows, row.waiting),
    ):
        if there != said:
            yield f"{name}: {there} are there, {'they were pruned' if row.pruned else f'the batch says {said}'}"
    covered = row.event_offsets + row.duplicate_rows + row.rejection_offsets + row.gap_offsets + row.rerouted_rows
    covered += row.waiting_rows
    offsets = (row.usage_to - row.usage_from) + (row.accounts_to - row.accounts_from)
    if row.pruned:  # how many offsets its rejections stood for is in no column: the digest vouches for them
        if covered + row.duplicates + row.rerouted + row.rejected > offsets:
            yield f"more than its {offsets} offsets are accounted for"
    elif covered != offsets:
        yield f"{covered} offsets are accounted for, the batch covers {offsets}"
    elif row.offset_sum != sum_range(row.usage_from, row.usage_to) + sum_range(row.accounts_from, row.accounts_to):
        yield "the offsets accounted for are not those that the batch covers"


def sum_range(begin: int, end: int) -> int:
    return (begin + end - 1) * (end - begin) // 2


def check_shard(shard: int, stored: Link | None, link: Link) -> list[Finding]:
    """Whether the row in meter.shards is what follows from the last batch."""
    if stored is None:
        return [Finding(shard, None, Damage.SHARD_MISSING, "its row in meter.shards is missing")]
    if stored == link or not link.hash:
        return []
    names = ("last batch", "last position", "usage offset", "accounts offset", "head", "generation")
    pairs: Iterable[tuple[str, int | bytes, int | bytes]] = zip(names, stored, link, strict=True)
    differences = [f"{name} {show(have)}, expected {show(want)}" for name, have, want in pairs if have != want]
    return [
        Finding(shard, link.batch or None, Damage.SHARD_CHANGED, "its row in meter.shards: " + "; ".join(differences))
    ]


def check_strays(shard: int, strays: Iterable[tuple[str, str]]) -> list[Finding]:
    return [Finding(shard, None, Damage.STRAY_ROW, f"meter.{table}, {at}: in no batch") for table, at in strays]


def check_links(shard: int, wrong: Iterable[tuple[int, str]]) -> list[Finding]:
    """Reversals whose row in meter.reversals is not what follows from the log."""
    return [Finding(shard, None, Damage.LINK_WRONG, f"reversal at position {at}: {why}") for at, why in wrong]


def show(value: int | bytes) -> str:
    return value.hex()[:16] + "…" if isinstance(value, bytes) else str(value)
