"""Plan everything that one batch writes, from its changes: pure. The store executes it in one transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from notifier.decide import (
    BalanceKey,
    BalanceSnapshot,
    Channel,
    Notice,
    NoticeState,
    Outcome,
    Thresholds,
    decide,
    find_banner,
    find_line,
)
from notifier.events import render_event
from notifier.ids import notice_id
from notifier.kinds import choose_kind
from notifier.letters import Reached
from notifier.model import (
    AccountSnapshot,
    Banner,
    BannerCleared,
    BannerShown,
    ContactsChanged,
    Generations,
    Known,
    LetterStep,
    LineMoved,
    NoticeRow,
    NotifyPlan,
    Occurrence,
    Unreadable,
)
from notifier.render import Renderer

Change = BalanceSnapshot | AccountSnapshot


class Planner:
    """Folds changes, in order, over what the store knows."""

    def __init__(self, known: Known, thresholds: Thresholds, renderer: Renderer, at: datetime) -> None:
        self._accounts = dict(known.accounts)
        self._states = known.states()
        self._banners = dict(known.banners)
        self._generations = known.generations
        self._before = known.banners
        self._thresholds = thresholds
        self._renderer = renderer
        self._at = at
        self._touched_accounts: set[str] = set()
        self._touched_balances: dict[BalanceKey, BalanceSnapshot] = {}
        self._notices: list[NoticeRow] = []
        self._letters: list[LetterStep] = []
        self._last_shown: dict[BalanceKey, Occurrence] = {}  # in the order of their last changes

    def apply(self, change: Change) -> None:
        if is_lost(change, self._generations):
            return
        if isinstance(change, AccountSnapshot):
            self._apply_account(change)
        else:
            self._apply_balance(change)

    def _apply_account(self, account: AccountSnapshot) -> None:
        known = self._accounts.get(account.account_id)
        if is_older(account, known, self._generations) or (known is not None and account.age <= known.age):
            return
        self._accounts[account.account_id] = account
        self._touched_accounts.add(account.account_id)
        self._letters.append(ContactsChanged(account))
        # A closed account sees none.
        for key in [key for key in self._states if key[0] == account.account_id]:
            if (balance := self._states[key].balance) is not None:
                self._show(balance, self._find_banner(balance), account)

    def _apply_balance(self, change: BalanceSnapshot) -> None:
        change = replace(change, line=find_line(change, self._thresholds))
        before = self._states.get(change.key, NoticeState())
        if is_older(change, before.balance, self._generations):
            return
        decision = decide(before, change, self._thresholds, self._at)
        if not decision.new:
            return
        self._move_line(before.balance, change)
        self._states[change.key] = decision.state
        self._touched_balances[change.key] = change
        self._show(change, self._find_banner(change), change)
        for notice in decision.notices:
            self._record(notice)

    def _record(self, notice: Notice) -> None:
        account = self._accounts.get(notice.balance.account_id)
        is_email = notice.channel is Channel.EMAIL and notice.outcome is Outcome.DELIVERED
        if is_email and (account is None or not account.contacts):
            notice = replace(notice, outcome=Outcome.NO_CONTACT)
        self._notices.append(NoticeRow(notice_id(notice), notice))

    def _move_line(self, before: BalanceSnapshot | None, change: BalanceSnapshot) -> None:
        if before is None or (before.epoch, before.line) != (change.epoch, change.line):
            reached = Reached(change.epoch, change.line, change.is_exhausted)
            step = LineMoved(
                change.account_id, change.resource, reached, change.shard, change.position, change.generation
            )
            self._letters.append(step)

    def _find_banner(self, balance: BalanceSnapshot) -> int | None:
        """None as well for a closed account: nobody can use what it has left."""
        account = self._accounts.get(balance.account_id)
        return None if account is not None and not account.is_open else find_banner(balance, self._thresholds)

    def _show(self, balance: BalanceSnapshot, threshold: int | None, cause: Change) -> None:
        """Bring the banner in line with the balance. What a batch ends with is published, and not the steps to it."""
        key = balance.key
        after = self._make_banner(balance, threshold, cause) if threshold is not None else None
        if after is None:
            if self._banners.pop(key, None) is not None:
                self._note(key, BannerCleared(balance, cause.position, cause.generation))
        elif not after.shows_same(self._banners.get(key)):
            self._banners[key] = after = after.follow(self._banners.get(key))
            self._note(key, BannerShown(after, raised=key not in self._before))

    def _note(self, key: BalanceKey, occurrence: Occurrence) -> None:
        self._last_shown.pop(key, None)
        self._last_shown[key] = occurrence

    def _find_seen(self) -> dict[BalanceKey, Occurrence]:
        """What people see a difference in. A banner that is again as it was before the batch stays, with its place."""
        return {key: last for key, last in self._last_shown.items() if not self._shows_as_before(key)}

    def _shows_as_before(self, key: BalanceKey) -> bool:
        before, after = self._before.get(key), self._banners.get(key)
        return before is None if after is None else after.shows_same(before)

    def _make_banner(self, balance: BalanceSnapshot, threshold: int, cause: Change) -> Banner:
        account = self._accounts.get(balance.account_id)
        kind = choose_kind(balance)
        return Banner(
            account_id=balance.account_id,
            resource=balance.resource,
            threshold=threshold,
            kind=kind,
            removable=not balance.is_exhausted,
            text=self._renderer.render_banner(kind, balance, threshold, account),
            epoch=balance.epoch,
            shard=balance.shard,
            position=cause.position,
            raised_at=balance.as_of or self._at,  # older events do not say
            generation=cause.generation,
        )

    def finish(self, *, topic: str, shard: int, start: int, end: int, unreadable: Iterable[Unreadable]) -> NotifyPlan:
        seen = self._find_seen()
        return NotifyPlan(
            shard=shard,
            topic=topic,
            start=start,
            end=end,
            at=self._at,
            accounts=tuple(self._accounts[name] for name in sorted(self._touched_accounts)),
            balances=tuple(self._touched_balances[key] for key in sorted(self._touched_balances)),
            notices=tuple(self._notices),
            banners=tuple(self._banners[key] for key in sorted(seen) if key in self._banners),
            cleared=tuple(key for key in sorted(seen) if key not in self._banners),
            letters=tuple(self._letters),
            events=tuple(render_event(occurrence, self._at) for occurrence in seen.values()),
            unreadable=tuple(unreadable),
        )


def is_lost(change: Change, generations: Generations) -> bool:
    """Whether it is of a history that a restore cut off: of an older generation, from where a later one begins."""
    return any(
        change.generation < generation and change.position >= begins
        for generation, begins in generations.get(change.shard, ())
    )


def is_older(change: Change, known: Change | None, generations: Generations) -> bool:
    """Whether a new generation tells again an older state than the known one, of the time before it began.

    Projections that were restored have yet to fold what the log has, and tell what they stand at meanwhile.
    """
    if known is None or change.generation <= known.generation:
        return False
    begins = dict(generations.get(change.shard, ())).get(change.generation, 0)
    return change.position < known.position < begins


def plan_notices(
    changes: Sequence[Change | Unreadable],
    known: Known,
    thresholds: Thresholds,
    renderer: Renderer,
    *,
    topic: str,
    shard: int,
    start: int,
    end: int,
    at: datetime,
) -> NotifyPlan:
    """Plan what this batch will write. All its rows carry the same time, `at`."""
    planner = Planner(known, thresholds, renderer, at)
    unreadable = []
    for change in changes:
        if isinstance(change, Unreadable):
            unreadable.append(change)
        else:
            planner.apply(change)
    return planner.finish(topic=topic, shard=shard, start=start, end=end, unreadable=unreadable)
