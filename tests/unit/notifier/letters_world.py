"""A small world for letters: an account whose log is folded for real, a notifier that may be down, a mail server that
may do anything, and readers. What a reader knows is worked out apart from told levels: from what reached them, and from
where epochs began.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from notifier import owed
from notifier.letters import Ending, Letters, Lines, Reached, Shown
from notifier.mail import recheck
from notifier.mail.limits import Cap
from notifier.mail.recheck import Action, Doubt
from notifier.model import ContactsChanged, EmailRow, LetterStep, LineMoved
from projections.fold import BalanceState, Kind, Step, apply, empty_state
from schemas.exhaustion import DEFAULT_EMAIL_THRESHOLDS, reaches
from tests.unit.notifier.builders import ACCOUNT, AT, account
from tests.unit.projections.histories import START

RESOURCES = ("model_credits", "tool_runs")
PEOPLE = tuple(f"c{number}@example.com" for number in range(3))
MOST_LOST = 3
Pending = dict[str, Callable[[], None] | None]  # what is to happen in the middle of a letter
FREE = 75


class Heard(NamedTuple):
    """What reached a reader, or may have: a line of a resource, and the moment at which it was true."""

    resource: str
    line: int
    at: int
    is_certain: bool


class Given(NamedTuple):
    """What was given up of a resource."""

    epoch: int
    line: int


@dataclass
class Row:
    email: EmailRow
    lost: int = 0
    rendered_at: int = 0
    said: Lines = field(default_factory=dict)


class Log:
    """The truth: the balances of one account by the rules of the fold, who is a contact, whether it is open."""

    def __init__(self) -> None:
        self.balances = {resource: empty_state(ACCOUNT, 1, 0, START) for resource in RESOURCES}
        self.listed: tuple[str, ...] = ()
        self.is_open = True
        self.position = 0
        for resource in RESOURCES:
            self.add(resource, Kind.OPENING, FREE)

    def add(self, resource: str, kind: Kind, amount: int) -> Reached:
        """Nobody takes back more than there is."""
        self.position += 1
        state = self.balances[resource]
        most = {Kind.REVERSAL: state.consumed, Kind.REVOCATION: state.granted}.get(kind, amount)
        self.balances[resource] = apply(state, Step(kind, min(amount, most), self.position, START))
        return self.reached(resource)

    def reached(self, resource: str) -> Reached:
        state = self.balances[resource]
        return Reached(state.epoch, line_of(state), state.used >= state.allocation)

    def lines(self) -> dict[str, int]:
        return {resource: line for resource, state in self.balances.items() if (line := line_of(state))}


def line_of(state: BalanceState) -> int:
    return max((line for line in DEFAULT_EMAIL_THRESHOLDS if reaches(state.used, state.allocation, line)), default=0)


def fold_case(people: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(person.lower() for person in people))


class World:
    def __init__(self) -> None:
        self.log = Log()
        self.letters = Letters()
        self.now = 0
        self.unread: list[tuple[int, LetterStep]] = []
        self.is_down = False
        self.mail = "works"
        self.seen: Counter[str] = Counter()
        self.rows: dict[str, Row] = {}
        self.starts: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)  # moment and line of each epoch
        self.heard: defaultdict[str, list[Heard]] = defaultdict(list)
        self.given: dict[tuple[str, str], Given] = {}
        self.refused: set[str] = set()
        self._known_people: set[str] = set()
        for resource in RESOURCES:
            self.change(resource, Kind.USAGE, 0)
        self.list_people(PEOPLE[:1])

    # --- the log, and the notifier that reads it ----------------------------------------------------------------------

    def change(self, resource: str, kind: Kind, amount: int) -> None:
        before, reached = self.log.reached(resource), self.log.add(resource, kind, amount)
        if reached.epoch > before.epoch:
            self.starts[resource].append((self.now, reached.line))
        if reached != before or self.log.position <= 2 * len(RESOURCES):
            self._tell(LineMoved(ACCOUNT, resource, reached, 0, self.log.position))

    def list_people(self, people: Sequence[str] | None = None, *, is_open: bool | None = None) -> None:
        """In any spelling."""
        before, self.log.is_open = self.log.listed, self.log.is_open if is_open is None else is_open
        written = before if people is None else people
        self.log.listed = tuple(fold_case(written))
        self.log.position += 1
        for person in self.log.listed:
            if person not in self._known_people:
                self._note_newcomer(person, [other for other in before if other in self.log.listed])
        self.refused &= set(self.log.listed)
        self._tell(ContactsChanged(account(self.log.position, tuple(written), is_open=self.log.is_open)))

    def _note_newcomer(self, person: str, staying: Iterable[str]) -> None:
        self._known_people.add(person)
        others = list(staying)
        for resource in RESOURCES:
            line = max((self.known(other, resource) for other in others), default=0)
            self.heard[person].append(Heard(resource, line, self.now, is_certain=True))

    def _tell(self, step: LetterStep) -> None:
        self.unread.append((self.now, step))
        self.read()

    def read(self) -> None:
        """All at once, as after an outage; then whoever is owed a letter gets a row."""
        if self.is_down or not self.unread:
            return
        steps, self.unread = [step for _at, step in self.unread], []
        self._take(owed.apply_steps(ACCOUNT, self.letters, steps, AT))

    def _take(self, outcome: owed.Outcome) -> None:
        self.letters = outcome.letters
        for email in outcome.queued:
            person = email.recipient.lower()
            assert person not in self.rows, "two letters for one contact"
            self.rows[person] = Row(email)

    # --- what readers know --------------------------------------------------------------------------------------------

    def known(self, person: str, resource: str, *, certain: bool = False) -> int:
        """The highest line heard, each lowered by the epochs begun since."""
        worth = [
            min([heard.line, *(line for at, line in self.starts[resource] if at > heard.at)])
            for heard in self.heard[person]
            if heard.resource == resource and (heard.is_certain or not certain)
        ]
        return max(worth, default=0)

    def is_wanted(self, person: str) -> bool:
        """Whether somebody is to get a letter by the log alone, and nothing bars one."""
        if person in self.refused or not self.log.is_open or person not in self.log.listed:
            return False
        return any(
            line > max(self.known(person, resource), self._given_up(person, resource))
            for resource, line in self.log.lines().items()
        )

    def _given_up(self, person: str, resource: str) -> int:
        given = self.given.get((person, resource))
        return given.line if given is not None and given.epoch == self.log.reached(resource).epoch else 0

    # --- the mailer ---------------------------------------------------------------------------------------------------

    def deliver(
        self, before_dot: Callable[[], None] | None = None, after_dot: Callable[[], None] | None = None
    ) -> None:
        """Try each row once; both may change the account in the middle of the first letter that comes so far."""
        pending: Pending = {"before": before_dot, "after": after_dot}
        for person in list(self.rows):
            self.now += 1
            if not self.is_down and person in self.rows:
                self._try_one(person, self.rows[person], pending)

    def _try_one(self, person: str, row: Row, pending: Pending) -> None:
        doubt = Doubt(row.lost, MOST_LOST)
        cap = Cap("contact", 60) if self.mail == "capped" else None
        step = recheck.choose_step(self.letters, row.email.recipient, doubt, cap=cap)
        self.seen[step.action.value] += 1
        if step.action is Action.CANCEL:
            assert row.lost == 0 and not self.is_wanted(person), "cancelled what is owed"
            self._finish(person, Ending.CANCELLED)
        elif step.action is Action.PRESUME:
            assert row.lost > 0
            self._finish(person, Ending.PRESUMED)
        elif step.action is Action.CAP:
            self._finish(person, Ending.CAPPED)
        elif self.mail == "refuses":
            self.refused |= {person} & set(self.log.listed)
            self._finish(person, Ending.REFUSED)
        elif self.mail != "away":
            self._converse(person, row, pending, render=step.action is Action.RENDER)

    def _converse(self, person: str, row: Row, pending: Pending, *, render: bool) -> None:
        address = row.email.recipient
        reached = {name: line for name, line in self.letters.reached.items() if line.line}
        lines: Lines = {name: Shown.of(line) for name, line in reached.items()} if render else row.said
        rendered_at = self.now if render else row.rendered_at
        run(pending, "before")
        if self.is_down or not recheck.still_says(self.letters, address, lines):
            self.seen["changed before the dot"] += 1
            return
        if render:
            contact = self.letters.contacts[address]
            self.letters = self.letters.put(address, replace(contact, lines=lines))
            row.said, row.rendered_at = lines, rendered_at
        if self.mail == "given up":
            self._finish(person, Ending.GIVEN_UP)
            return
        self._arrive(person, row)
        self.now += 1
        run(pending, "after")
        if self.mail == "loses replies":
            row.lost += 1
        else:
            self._finish(person, Ending.ACCEPTED)

    def _arrive(self, person: str, row: Row) -> None:
        self.seen["arrived"] += 1
        shown = {name: line.line for name, line in row.said.items()}
        assert self.log.is_open and person in self.log.listed, "sent to somebody whom it does not concern"
        assert shown == self.log.lines(), "untrue when it was sent"
        said, now = {name: one.exhausted for name, one in row.said.items()}, map(self.log.reached, row.said)
        assert list(said.values()) == [one.exhausted for one in now], "untrue about refusals when it was sent"
        assert any(line > self.known(person, name, certain=True) for name, line in shown.items()), "nothing new"

    def _finish(self, person: str, ending: Ending) -> None:
        self.seen[ending.value] += 1
        row = self.rows.pop(person)
        tried = {name: Shown.of(reached) for name, reached in self.letters.reached.items() if reached.line}
        if ending in (Ending.ACCEPTED, Ending.PRESUMED):
            certain = ending is Ending.ACCEPTED
            self.heard[person] += [Heard(name, s.line, row.rendered_at, certain) for name, s in row.said.items()]
        elif ending is Ending.GIVEN_UP:
            self.given |= {(person, name): Given(shown.epoch, shown.line) for name, shown in tried.items()}
        self._take(owed.end_letter(row.email, self.letters, ending, tried, AT))

    def ask_for_retry(self, person: str) -> None:
        """As a person does with `notifier emails retry`."""
        address = next((known for known in self.letters.contacts if known.lower() == person), None)
        if address is not None and person not in self.rows and not self.is_down:
            self.refused.discard(person)
            self.given = {key: given for key, given in self.given.items() if key[0] != person}
            contact = self.letters.contacts[address]
            email = EmailRow(contact.contact_id, contact.contact_id, contact.contact_id, ACCOUNT, 0, address, AT)
            self._take(owed.retry_letter(email, self.letters, AT))


def run(pending: Pending, when: str) -> None:
    if (change := pending.pop(when, None)) is not None:
        change()
