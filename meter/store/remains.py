"""What is left of the addresses and names of an account, for the command that forgets them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from meter.runtime.postgres import load_sql
from meter.runtime.postgres.migrations import NO_LIMIT_S
from meter.store.outcomes import Outcomes
from schemas.figures import count_of

SHOWN_SHARING: Final = 10  # accounts


class Remains(NamedTuple):
    """`in_clear`: events of before sealing, whose addresses and names everybody who reads the log can read;
    `on_the_way`: records of a wrong partition, which are sent on as they came."""

    forgotten: bool
    refused_cleared: bool
    read_models: int
    letters: int
    in_clear: int
    on_the_way: int

    @property
    def cleared(self) -> bool:
        """Whether the services have done what they can."""
        return self.forgotten and self.refused_cleared and not (self.read_models or self.letters or self.on_the_way)

    def describe(self, account_id: str) -> list[str]:
        return list(self._sentences(account_id))

    def _sentences(self, account_id: str) -> Iterator[str]:
        if self.cleared:
            yield f"addresses and names of {account_id} are forgotten, here and on the list for restored backups"
        else:
            yield f"{account_id} is forgotten in the log"
        if not self.refused_cleared:
            yield "its refused records are not blanked yet: is `meter run` running?"
        if self.read_models:
            yield "the read models still hold some: is `projections run` running?"
        if self.letters:
            rows = count_of(self.letters, "row")
            yield f"letters and contacts still hold some, in {rows}: is `notifier run` running?"
        if self.on_the_way:
            left = count_of(self.on_the_way, "record")
            yield f"of a wrong partition, and not sent on yet: {left}: is `meter run` running?"
        if self.in_clear:
            yield (
                f"in clear until `meter seal`, because stored before addresses were encrypted: "
                f"{count_of(self.in_clear, 'event')}"
            )
        yield "metering.accounts holds what was sent until its retention, and backups until they are deleted"


async def fetch_remains(outcomes: Outcomes, account_id: str) -> Remains:
    """All of it; minutes on a large log. Whether it is cleared is asked for by itself: `is_cleared`."""
    left = await fetch_left(outcomes, account_id)
    return left._replace(in_clear=await count_in_clear(outcomes, account_id))


async def is_cleared(outcomes: Outcomes, account_id: str) -> bool:
    """Whether the services have done what they can."""
    return (await fetch_left(outcomes, account_id)).cleared


async def fetch_left(outcomes: Outcomes, account_id: str) -> Remains:
    """Without what is in clear in the log."""
    place = await outcomes.find_place(account_id)
    [row] = await outcomes.pool.fetch(load_sql("meter", "find_remains"), place.shard, account_id)
    return Remains(**row, in_clear=0)


async def count_in_clear(outcomes: Outcomes, account_id: str) -> int:
    place = await outcomes.find_place(account_id)
    async with outcomes.pool.acquire() as connection, connection.transaction(readonly=True):
        await connection.execute("SET LOCAL statement_timeout = 0")
        sql = load_sql("meter", "count_in_clear")
        count: int = await connection.fetchval(sql, place.shard, account_id, timeout=NO_LIMIT_S)
    return count


async def find_sharing(outcomes: Outcomes, account_id: str, addresses: Iterable[str]) -> list[str]:
    """Other accounts that have one of its addresses, one more than are shown."""
    wanted = sorted({address.lower() for address in addresses})
    rows = await outcomes.pool.fetch(load_sql("meter", "find_sharing"), wanted, account_id, SHOWN_SHARING + 1)
    return [row["account_id"] for row in rows]


def describe_sharing(accounts: Sequence[str]) -> str:
    """Whose the same addresses still are, without showing an address."""
    shown = ", ".join(accounts[:SHOWN_SHARING]) + (" and more" if len(accounts) > SHOWN_SHARING else "")
    what = "another account still has" if len(accounts) == 1 else "other accounts still have"
    return f"{what} an address of it: {shown}. To forget the person there too: meter forget ACCOUNT"
