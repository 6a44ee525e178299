"""Bugs of a notifier: a key without the epoch, a line that must be passed, state in memory, alerts after the commit."""

from dataclasses import replace as changed
from typing import Any

from meter.runtime.fault_points import fault_point
from notifier import plan as planning
from notifier.decide import BalanceSnapshot, NoticeState
from notifier.model import NotifyPlan
from notifier.store import letters, notices
from notifier.store.notices import PostgresNoticeStore
from tests.faults.bugs.bug import STUCK, Bug, current, replace
from tests.faults.schedule import Focus
from tests.faults.world import Shares

OFTEN_GRANTED = Shares(grants=0.03, reversals=0.01)


def dedupe_key_without_epoch() -> None:
    """What was said once is never said again, not of the next allocation either."""
    decide, said = current(planning, "decide"), dict[tuple[str, str], frozenset[Any]]()

    def decide_once(state: NoticeState, change: BalanceSnapshot, thresholds: Any, at: Any) -> Any:
        key = change.account_id, change.resource
        before = said.get(key, frozenset())
        decision = decide(changed(state, noticed=state.noticed | before), change, thresholds, at)
        known = decision.state.noticed | before
        kept = tuple(n for n in decision.notices if (n.channel, n.threshold) not in before)
        decision = changed(decision, state=changed(decision.state, noticed=known), notices=kept)
        said[key] = said.get(key, frozenset()) | {(n.channel, n.threshold) for n in decision.notices}
        return decision

    replace(planning, "decide", decide_once)


def line_must_be_passed() -> None:
    def reaches(self: BalanceSnapshot, threshold: int) -> bool:
        return self.consumed * 100 > threshold * self.allocation

    replace(BalanceSnapshot, "reaches", reaches)


def takes_what_is_not_newer() -> None:
    decide = current(planning, "decide")

    def decide_again(state: NoticeState, change: BalanceSnapshot, thresholds: Any, at: Any) -> Any:
        known = state.balance
        if known is not None and change.position <= known.position:
            state = changed(state, balance=changed(known, position=change.position - 1))
        return decide(state, change, thresholds, at)

    replace(planning, "decide", decide_again)


def state_in_memory() -> None:
    """After a restart every account looks as if its epoch were just beginning."""
    decide, seen = current(planning, "decide"), set[tuple[str, str]]()

    def decide_forgetful(state: NoticeState, change: BalanceSnapshot, thresholds: Any, at: Any) -> Any:
        key = change.account_id, change.resource
        if key in seen:
            return decide(state, change, thresholds, at)
        seen.add(key)
        # The notices themselves are in the database, and known: only that the epoch had begun is forgotten.
        noticed = frozenset() if state.starts_epoch(change) else state.noticed
        decision = decide(NoticeState(), change, thresholds, at)
        return changed(
            decision,
            state=NoticeState(change, decision.state.noticed | noticed),
            notices=tuple(n for n in decision.notices if (n.channel, n.threshold) not in noticed),
        )

    replace(planning, "decide", decide_forgetful)


def alert_after_commit() -> None:
    """The notice is committed first, and its letters are queued afterwards."""

    async def save(self: Any, plan: NotifyPlan) -> int:
        async with self._pool.acquire() as connection, connection.transaction():
            await self._advance(connection, plan)
            changes = await letters.work_out(connection, plan)
            await notices.write_plan(connection, plan)
            await fault_point("before_commit")
        await fault_point("after_commit")
        async with self._pool.acquire() as connection, connection.transaction():
            return await letters.write_changes(connection, changes, self._pause_s, plan.at)

    replace(PostgresNoticeStore, "save", save)


def rearmed_by_reversal() -> None:
    """A balance that falls below a line arms it again."""
    decide = current(planning, "decide")

    def decide_rearming(state: NoticeState, change: BalanceSnapshot, thresholds: Any, at: Any) -> Any:
        known = state.balance
        if known is not None and known.epoch == change.epoch:
            armed = frozenset((channel, line) for channel, line in state.noticed if known.reaches(line))
            state = changed(state, noticed=armed)
        return decide(state, change, thresholds, at)

    replace(planning, "decide", decide_rearming)


BUGS = (
    Bug(
        name="dedupe_key_without_epoch",
        service="notifier",
        says="a line is told once in the life of an account",
        switch_on=dedupe_key_without_epoch,
        signs=frozenset({"notice missing"}),
        focus=Focus({"pause": 1}, services=("notifier",), long=0.0),
        shares=OFTEN_GRANTED,
    ),
    Bug(
        name="line_must_be_passed",
        service="notifier",
        says="exactly at the line does not count",
        switch_on=line_must_be_passed,
        signs=frozenset({"notice missing", "banner that is not true"}),
        focus=Focus({"kill": 1}, services=("notifier",)),
        mean_pause_s=3.0,
    ),
    Bug(
        name="takes_what_is_not_newer",
        service="notifier",
        says="a repeat from the outbox counts as news",
        switch_on=takes_what_is_not_newer,
        signs=frozenset({"event told in two ways", "notice with the wrong outcome", "banner not told", STUCK}),
        focus=Focus(
            {"point_kill": 4, "kill": 1}, services=("projections",), fault_points=("outbox_between_publish_and_delete",)
        ),
        shares=OFTEN_GRANTED,
    ),
    Bug(
        name="state_in_memory",
        service="notifier",
        says="what is known of an account dies with the process",
        switch_on=state_in_memory,
        signs=frozenset({"notice with the wrong outcome"}),
        focus=Focus({"kill": 3, "point_kill": 1}, services=("notifier",)),
        mean_pause_s=3.0,
    ),
    Bug(
        name="alert_after_commit",
        service="notifier",
        says="emails are queued after the commit of their notice",
        switch_on=alert_after_commit,
        signs=frozenset({"contact who is owed a letter and has none on its way", "event never told"}),
        focus=Focus({"point_kill": 4, "kill": 1}, services=("notifier",), fault_points=("after_commit",)),
    ),
    Bug(
        name="rearmed_by_reversal",
        service="notifier",
        says="a reversal arms a line again within its epoch",
        switch_on=rearmed_by_reversal,
        signs=frozenset({"notice recorded twice", STUCK}),
        focus=Focus({"kill": 1}, services=("notifier",)),
        mean_pause_s=4.0,
        shares=Shares(reversals=0.05),
    ),
)
