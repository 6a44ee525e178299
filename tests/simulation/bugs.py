"""Known mistakes, to be switched on in a process that plays histories and nowhere else: each takes one defence away.

Those of the fault campaign that are about pure code are tried here as well. Nothing is aimed: histories are as usual.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import replace as changed
from typing import Any, Final

from meter.runtime.errors import TransientError
from notifier import decide, letters, owed
from notifier import plan as noticing
from notifier.letters import Ending, Told
from notifier.mail.mailer import Mailer
from schemas import exhaustion
from schemas.topics import BALANCES
from tests.faults.bugs import BUGS as CAMPAIGN_BUGS
from tests.faults.bugs.bug import current, replace
from tests.simulation import folding, play, services
from tests.simulation.database import EventStore, NoticeStore
from tests.simulation.virtual import IDLE, pause
from tests.unit.notifier import fakes


@dataclass(frozen=True, slots=True)
class Bug:
    name: str
    says: str
    switch_on: Callable[[], None]


def older_state_counts() -> None:
    """Projections tell what is from before a restore as of the generation after it, and the notifier believes them."""
    replace(folding, "generation_behind", lambda database, shard, _after: database.generation(shard))
    replace(folding, "is_before_generation", lambda *_: False)
    replace(noticing, "is_older", lambda *_: False)


def lost_history_counts() -> None:
    replace(noticing, "is_lost", lambda *_: False)


def nothing_is_read_back() -> None:
    replace(play, "recall", lambda *_: None)


def lost_reply_is_forgotten() -> None:
    """A letter whose reply was lost is rendered anew and counted as if nothing had been handed over."""
    finish = current(NoticeStore, "finish")

    async def finish_unhanded(self: Any, email: Any, *values: Any) -> bool:
        done = bool(await finish(self, email, *values))
        self.emails[email.row.email_id].handed_over = False
        return done

    replace(NoticeStore, "finish", finish_unhanded)


def misplaced_is_dropped() -> None:
    """A record in a wrong partition is recorded as sent on, and nobody sends it."""
    carry_out = current(EventStore, "_carry_out")

    def keep_none(self: Any, shard: Any, plan: Any) -> Any:
        saved = carry_out(self, shard, plan)
        self.held[plan.shard] = [held for held in self.held[plan.shard] if held.usage_end is not None]
        return saved

    replace(EventStore, "_carry_out", keep_none)


def deleted_before_published() -> None:
    async def relay(world: Any) -> None:
        while True:
            outbox = world.database.folds.outbox
            for shard, rows in enumerate(outbox):
                if rows:
                    outbox[shard] = []
                    await pause("relay before publishing")
                for row in rows:
                    world.broker.append(BALANCES, row.shard, row.key, row.value)
            await pause(IDLE)

    services.SERVICES["relay"] = relay


def lost_commit_counts_as_done() -> None:
    """A batch whose COMMIT got no reply is taken for stored: the next one begins behind it, and expects that."""
    append = current(EventStore, "append")

    async def append_hopefully(self: Any, plan: Any) -> Any:
        try:
            return await append(self, plan)
        except TransientError:
            self.shard(plan.shard).offsets = plan.following
            raise

    replace(EventStore, "append", append_hopefully)


def top_up_repeats_everything() -> None:
    replace(Told, "begin_epoch", lambda _told, _line: Told())


def presumed_was_not_told() -> None:
    replace(letters, "TOLD_BY", frozenset({Ending.ACCEPTED}))


def end_is_not_waited_for() -> None:
    """A letter is made of what is known, although the shard is not read to the end that was asked."""
    look = current(Mailer, "_look")

    async def look_at_once(self: Any, email: Any, end: int, stop: Any) -> Any:
        outlook = await look(self, email, end, stop)
        return changed(outlook, offset=max(outlook.offset, end))

    replace(Mailer, "_look", look_at_once)


def not_asked_again_before_the_dot() -> None:
    replace(fakes, "still_says", lambda *_: True)


def closed_is_still_told() -> None:
    change_contacts = current(owed, "change_contacts")
    replace(owed, "change_contacts", lambda before, listed, *, is_open: change_contacts(before, listed, is_open=True))


def who_left_is_still_told() -> None:
    replace(letters, "leave", lambda contact: contact)


def exact_hit_is_missed() -> None:
    """Above a line, where at it would be right: whoever counts in ones never sees 100 %."""

    def exceeds(used: int, allocation: int, line: int) -> bool:
        return used * 100 > line * allocation

    for module in (exhaustion, decide):
        replace(module, "reaches", exceeds)


OWN: Final = (
    Bug("older_state_counts", "a new generation's older state takes back what is known", older_state_counts),
    Bug("lost_history_counts", "events of a history that was cut off still count", lost_history_counts),
    Bug("nothing_is_read_back", "after a restore nobody asks what people were told", nothing_is_read_back),
    Bug("lost_reply_is_forgotten", "an attempt whose reply was lost counts as none", lost_reply_is_forgotten),
    Bug("misplaced_is_dropped", "a record in a wrong partition is never sent on", misplaced_is_dropped),
    Bug("deleted_before_published", "an outbox forgets before the broker has it", deleted_before_published),
    Bug("lost_commit_counts_as_done", "a COMMIT without a reply is taken for done", lost_commit_counts_as_done),
    Bug("top_up_repeats_everything", "each epoch begins with nothing told", top_up_repeats_everything),
    Bug("presumed_was_not_told", "a letter that is presumed to have arrived is sent again", presumed_was_not_told),
    Bug("end_is_not_waited_for", "a letter is made before its shard is read to the end", end_is_not_waited_for),
    Bug("not_asked_again_before_the_dot", "bytes go out that are not true any more", not_asked_again_before_the_dot),
    Bug("closed_is_still_told", "letters of a closed account go out", closed_is_still_told),
    Bug("who_left_is_still_told", "who is no contact any more gets letters", who_left_is_still_told),
    Bug("exact_hit_is_missed", "a line is crossed above it, not at it", exact_hit_is_missed),
)
# Of the campaign's those that change what runs here, too.
SHARED: Final = (
    "told_per_batch", "newcomer_is_told_nothing",
    "rearmed_by_reversal", "free_text_by_plan", "closed_keeps_its_banner", "given_up_at_first_failure",
)  # fmt: skip
BUGS: Final[Mapping[str, Bug]] = {bug.name: bug for bug in OWN} | {
    name: Bug(name, CAMPAIGN_BUGS[name].says, CAMPAIGN_BUGS[name].switch_on) for name in SHARED
}
