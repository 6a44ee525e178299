"""Letters over random histories: never untrue when sent, nobody owed stays untold, and each has something new to say.

What a reader knows is worked out here in another way: from the list of what reached them and the list of epochs.
"""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid5

from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.letters import Ending, Letters, Reached, Shown, change_contacts, end, find_due, move_line, owed_lines
from notifier.mail.recheck import Action, Doubt, choose_step
from tests.support.examples import examples

RESOURCES = ("model_credits", "tool_runs")
PEOPLE = tuple(f"c{number}@example.com" for number in range(3))
LINES = (0, 50, 70, 80, 90)
MOST_LOST = 3
NAMESPACE = UUID(int=1)


@dataclass
class Heard:
    """What reached a reader, or may have: a line of a resource, and at which moment it was true."""

    resource: str
    line: int
    at: int
    is_certain: bool = False


@dataclass
class Row:
    lost: int = 0
    said: list[Heard] = field(default_factory=list)


class World:
    def __init__(self) -> None:
        self.letters = Letters()
        self.now = 0
        self.is_open = True
        self.listed: tuple[str, ...] = ()
        self.reached = {resource: Reached(1, 0) for resource in RESOURCES}
        self.starts: defaultdict[str, list[tuple[int, int]]] = defaultdict(
            list
        )  # moment and line of each epoch's start
        self.heard: defaultdict[str, list[Heard]] = defaultdict(list)
        self.inherited: defaultdict[str, list[Heard]] = defaultdict(list)
        self.rows: dict[str, Row] = {}
        self.refused: set[str] = set()
        self.mail = "works"
        for resource in RESOURCES:
            self.move(resource, 1, 0)

    # --- the account --------------------------------------------------------------------------------------------------

    def move(self, resource: str, epoch: int, line: int) -> None:
        if epoch > self.reached[resource].epoch:
            self.starts[resource].append((self.now, line))
        self.reached[resource] = Reached(epoch, line)
        self.letters = move_line(self.letters, resource, self.reached[resource])

    def list_people(self, people: tuple[str, ...], *, is_open: bool) -> None:
        staying = [person for person in self.listed if person in people]
        for person in people:
            if person not in self.letters.contacts:
                self.inherited[person] = [
                    Heard(resource, max((self.known(other, resource) for other in staying), default=0), self.now)
                    for resource in RESOURCES
                ]
        self.refused &= set(people)
        self.listed, self.is_open = people, is_open
        ids = [(person, uuid5(NAMESPACE, person)) for person in people]
        self.letters = change_contacts(self.letters, ids, is_open=is_open)

    def known(self, person: str, resource: str, *, certain: bool = False) -> int:
        """The highest line heard, each lowered by the epochs begun since."""
        found = [heard for heard in self.inherited[person] + self.heard[person] if heard.resource == resource]
        return max(
            (
                min([heard.line, *(line for at, line in self.starts[resource] if at > heard.at)])
                for heard in found
                if heard.is_certain or not certain
            ),
            default=0,
        )

    # --- the mailer ---------------------------------------------------------------------------------------------------

    def deliver(self) -> None:
        """Make the rows that are due and try each once."""
        for address in find_due(self.letters):
            self.rows[address] = Row()
            self.letters = self.letters.put(address, replace(self.letters.contacts[address], unsent=NAMESPACE))
        for address in list(self.rows):
            self.try_one(address)

    def try_one(self, address: str) -> None:
        row, contact = self.rows[address], self.letters.contacts[address]
        step = choose_step(self.letters, address, Doubt(row.lost, MOST_LOST), is_capped=False)
        if step.action is Action.CANCEL:
            assert row.lost == 0 and not self.is_wanted(address)
            self.finish(address, Ending.CANCELLED)
        elif step.action is Action.PRESUME:
            assert row.lost > 0
            self.finish(address, Ending.PRESUMED)
        elif self.mail == "away":
            return
        elif self.mail in ("refuses", "given up"):
            ending = Ending.REFUSED if self.mail == "refuses" else Ending.GIVEN_UP
            if ending is Ending.REFUSED:
                self.refused.add(address)
            self.finish(address, ending)
        else:
            if step.action is Action.RENDER:
                lines = {name: Shown.of(reached) for name, reached in self.reached.items() if reached.line}
                self.letters = self.letters.put(address, replace(contact, lines=lines))
                row.said = [Heard(name, line.line, self.now) for name, line in lines.items()]
            self.arrive(address, row)

    def arrive(self, address: str, row: Row) -> None:
        shown = self.letters.contacts[address].lines
        assert self.is_open and address in self.listed
        assert {name: line.line for name, line in shown.items()} == {
            name: reached.line for name, reached in self.reached.items() if reached.line
        }, "untrue when it was sent"
        assert any(line.line > self.known(address, name, certain=True) for name, line in shown.items()), "nothing new"
        if self.mail == "loses replies":
            row.lost += 1
        else:
            self.finish(address, Ending.ACCEPTED)

    def finish(self, address: str, ending: Ending) -> None:
        tried = {name: Shown.of(reached) for name, reached in self.reached.items() if reached.line}
        self.letters = end(self.letters, address, ending, tried)
        row = self.rows.pop(address)
        if ending in (Ending.ACCEPTED, Ending.PRESUMED):
            self.heard[address] += [replace(heard, is_certain=ending is Ending.ACCEPTED) for heard in row.said]

    def is_wanted(self, address: str) -> bool:
        if address in self.refused or not self.is_open or address not in self.listed:
            return False
        contact = self.letters.contacts[address]
        return any(
            reached.line > max(self.known(address, name), contact.of(name).given_up)
            for name, reached in self.reached.items()
        )


moves = st.tuples(st.just("line"), st.sampled_from(RESOURCES), st.sampled_from(LINES))
epochs = st.tuples(st.just("epoch"), st.sampled_from(RESOURCES), st.sampled_from(LINES))
people = st.tuples(
    st.just("people"), st.sets(st.sampled_from(PEOPLE)).map(lambda some: tuple(sorted(some))), st.integers(0, 1)
)
mails = st.tuples(
    st.just("mail"), st.sampled_from(["works", "away", "loses replies", "refuses", "given up"]), st.just(0)
)
deliveries = st.just(("deliver", "", 0))
histories = st.lists(st.one_of(moves, epochs, people, mails, deliveries, deliveries), max_size=40)


@settings(max_examples=examples(400))
@given(histories)
def test_letters_are_true_new_and_nobody_stays_untold(history: list[tuple[str, str | tuple[str, ...], int]]) -> None:
    world = World()
    world.list_people(PEOPLE[:1], is_open=True)
    for what, value, number in history:
        world.now += 1
        if what == "line":
            world.move(str(value), world.reached[str(value)].epoch, number)
        elif what == "epoch":
            world.move(str(value), world.reached[str(value)].epoch + 1, number)
        elif what == "people":
            world.list_people(tuple(value), is_open=bool(number))
        elif what == "mail":
            world.mail = str(value)
        else:
            world.deliver()
        check_levels(world)
    world.now += 1
    world.mail = "works"
    for _ in range(3):
        world.deliver()
    assert not world.rows
    for address in PEOPLE:
        assert not world.is_wanted(address), "owed and never told"
        if address not in world.refused and address in world.letters.contacts:
            contact = world.letters.contacts[address]
            owed = owed_lines(world.letters, contact)
            assert all(line <= contact.of(name).given_up for name, line in owed.items())


def check_levels(world: World) -> None:
    """The levels that are kept are what the whole history gives, apart from letters that are still in doubt."""
    for address, contact in world.letters.contacts.items():
        if address not in world.rows:
            for resource in RESOURCES:
                assert contact.of(resource).level == world.known(address, resource)
