"""All checks of a history, in words that begin with the kind of what is wrong."""

from typing import TYPE_CHECKING

from tests.simulation import dots, letters, oracle

if TYPE_CHECKING:
    from tests.simulation.play import World


def judge(world: "World") -> list[str]:
    ledger = oracle.keep_ledger(world)
    return [
        *oracle.check_offsets(world),
        *oracle.check_events(world),
        *oracle.check_balances(world, ledger),
        *oracle.check_published(world, ledger),
        *oracle.check_notices(world, ledger),
        *oracle.check_banners(world, ledger),
        *dots.check_dots(world),
        *letters.check_arrivals(world),
        *letters.check_news(world, ledger),
        *letters.check_told(world, ledger),
    ]
