"""Bugs of a notifier: a key without the epoch, a line that must be passed, state in memory, alerts after the commit,
texts and letters that say what is not so."""

from dataclasses import replace as changed
from typing import Any

from meter.runtime.fault_points import fault_point
from notifier import plan as planning
from notifier.decide import BalanceSnapshot, NoticeState
from notifier.events import render_event
from notifier.letters import Told
from notifier.model import NotifyPlan, Saved
from notifier.plan import Planner
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

    async def save(self: Any, plan: NotifyPlan) -> Saved:
        async with self._pool.acquire() as connection, connection.transaction():
            await self._advance(connection, plan)
            changes = await letters.work_out(connection, plan)
            await notices.write_plan(connection, plan)
            await fault_point("before_commit")
        await fault_point("after_commit")
        async with self._pool.acquire() as connection, connection.transaction():
            return Saved(await letters.write_changes(connection, changes, self._pause_s, plan.at))

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


def free_text_by_plan() -> None:
    """Who is on the plan called free is told that free credits have expired, whatever was bought."""
    make_banner = Planner._make_banner

    def make_by_plan(self: Any, balance: BalanceSnapshot, threshold: int, cause: Any) -> Any:
        account = self._accounts.get(balance.account_id)
        on_free = account is not None and account.plan == "free"
        return make_banner(self, changed(balance, free_only=on_free), threshold, cause)

    replace(Planner, "_make_banner", make_by_plan)


def each_step_of_a_banner() -> None:
    """After an outage banner events come for lines that were passed long ago."""
    note, finish = Planner._note, Planner.finish

    def note_each(self: Any, key: Any, occurrence: Any) -> None:
        self.__dict__.setdefault("steps", []).append(occurrence)
        note(self, key, occurrence)

    def finish_with_each(self: Any, **place: Any) -> NotifyPlan:
        steps = self.__dict__.get("steps", ())
        return changed(finish(self, **place), events=tuple(render_event(step, self._at) for step in steps))

    replace(Planner, "_note", note_each)
    replace(Planner, "finish", finish_with_each)


def goodwill_drops_the_letter() -> None:
    """A grant that leaves the line standing drops the letter that waits: what stands at its start counts as told."""

    def begin_epoch(_self: Told, line: int) -> Told:
        return Told(line)

    replace(Told, "begin_epoch", begin_epoch)


def closed_keeps_its_banner() -> None:
    """A closed account is shown that its credits are low."""
    find_banner = current(planning, "find_banner")
    replace(Planner, "_find_banner", lambda self, balance: find_banner(balance, self._thresholds))


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
    Bug(
        name="free_text_by_plan",
        service="notifier",
        says="the plan's name decides whether free credits have expired",
        switch_on=free_text_by_plan,
        signs=frozenset({"banner with another text"}),
        focus=Focus({"kill": 1}, services=("notifier",)),
        mean_pause_s=4.0,
        shares=OFTEN_GRANTED,
    ),
    Bug(
        name="each_step_of_a_banner",
        service="notifier",
        says="after an outage a banner is told step by step",
        switch_on=each_step_of_a_banner,
        signs=frozenset({"banner told step by step"}),
        focus=Focus({"pause": 1, "kill": 1}, services=("notifier",)),
        mean_pause_s=3.0,
    ),
    Bug(
        name="goodwill_drops_the_letter",
        service="notifier",
        says="a grant that leaves the line standing drops the letter that waits",
        switch_on=goodwill_drops_the_letter,
        signs=frozenset({"line that counts as told and was in no letter"}),
        focus=Focus({"smtp": 3}, services=("notifier",), phases=("rcpt", "dot")),
        shares=OFTEN_GRANTED,
    ),
    Bug(
        name="closed_keeps_its_banner",
        service="notifier",
        says="an account that is closed keeps its banners",
        switch_on=closed_keeps_its_banner,
        signs=frozenset({"banner that is not true"}),
        focus=Focus({"kill": 1}, services=("notifier",)),
        mean_pause_s=4.0,
        shares=Shares(closings=0.05),
    ),
)
