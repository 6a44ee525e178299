"""The story of an account and its contacts, for tests of who is owed a letter."""

from dataclasses import replace
from uuid import UUID, uuid5

from notifier.letters import (
    Contact,
    Ending,
    Letters,
    Reached,
    Shown,
    change_contacts,
    end,
    find_due,
    move_line,
)
from notifier.mail.limits import Cap
from notifier.mail.recheck import Action, Doubt, choose_step

CREDITS, RUNS = "model_credits", "tool_runs"
OWNER, OTHER = "owner@example.com", "other@example.com"
ROW = UUID(int=7)


def listed(*addresses: str) -> list[tuple[str, UUID]]:
    return [(address, uuid5(ROW, address)) for address in addresses]


class Story:
    """An account whose mail works unless it is told otherwise."""

    def __init__(self, *contacts: str) -> None:
        self.letters = Letters()
        self.epoch = dict.fromkeys((CREDITS, RUNS), 1)
        self.contacts(*(contacts or (OWNER,)))
        for resource in (CREDITS, RUNS):
            self.reach(0, resource)

    def contacts(self, *addresses: str, is_open: bool = True) -> None:
        self.letters = change_contacts(self.letters, listed(*addresses), is_open=is_open)

    def reach(self, line: int, resource: str = CREDITS) -> None:
        self.letters = move_line(self.letters, resource, Reached(self.epoch[resource], line))

    def begin_epoch(self, line: int, resource: str = CREDITS) -> None:
        self.epoch[resource] += 1
        self.reach(line, resource)

    def hand_over(self, address: str = OWNER) -> dict[str, int]:
        """The lines that the letter shows."""
        lines = {name: Shown.of(reached) for name, reached in self.letters.reached.items() if reached.line}
        contact = self.letters.contacts[address]
        self.letters = self.letters.put(address, replace(contact, unsent=ROW, lines=lines))
        return {name: shown.line for name, shown in lines.items()}

    def end(self, ending: Ending, address: str = OWNER) -> None:
        lines = {name: Shown.of(reached) for name, reached in self.letters.reached.items() if reached.line}
        self.letters = end(self.letters, address, ending, lines)

    def send(self, address: str = OWNER) -> dict[str, int]:
        assert address in find_due(self.letters)
        said = self.hand_over(address)
        self.end(Ending.ACCEPTED, address)
        return said

    def choose(self, lost: int = 0, address: str = OWNER, *, cap: Cap | None = None) -> Action:
        return choose_step(self.letters, address, Doubt(lost, 3), cap=cap).action

    @property
    def due(self) -> list[str]:
        return find_due(self.letters)

    def contact(self, address: str = OWNER) -> Contact:
        return self.letters.contacts[address]

    def level(self, address: str = OWNER, resource: str = CREDITS) -> int:
        return self.contact(address).of(resource).level
