"""Which of the three texts a banner has. Pure."""

from notifier.decide import BalanceSnapshot
from notifier.model import BannerKind


def choose_kind(balance: BalanceSnapshot) -> BannerKind:
    """The text about free credits is true only while nothing else was ever granted, whatever the plan is called."""
    if not balance.is_exhausted:
        return BannerKind.LOW
    return BannerKind.FREE_EXPIRED if balance.free_only else BannerKind.PAID_EXPIRED
