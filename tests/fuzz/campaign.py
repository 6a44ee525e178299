"""Draws inputs, checks each, and makes a failing one as small as it still fails. Knows nothing of what an input is."""

import random
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol, TypeVar

Input = TypeVar("Input")
Part = TypeVar("Part")
MOST_TRIES: Final = 2_000  # of making one input smaller


class Level(Protocol[Input]):
    """One kind of input. An input is drawn from the seed and its number alone, so both are enough to meet it again."""

    name: str
    unit: str  # what an input is made of
    drawn: int  # how many of these so far

    def draw(self, draw: random.Random) -> Input: ...

    def check(self, drawn: Input) -> str | None:
        """What is wrong, or None."""
        ...

    def smaller(self, drawn: Input) -> Iterator[Input]:
        """Inputs that are a step simpler."""
        ...

    def show(self, drawn: Input) -> str: ...


class Failure(NamedTuple):
    level: str
    seed: int
    number: int
    fault: str
    shown: str

    def text(self) -> str:
        return f"level {self.level}, seed {self.seed}, input {self.number}\n{self.fault}\n\n{self.shown}\n"


def run(level: Level[Input], seed: int, numbers: range, progress: Callable[[int], None]) -> Iterator[Failure]:
    """Check the inputs of these numbers; yields each failure, made small."""
    for number in numbers:
        drawn = draw_input(level, seed, number)
        fault = judge(level, drawn)
        if fault is not None:
            small, fault = minimise(level, drawn, fault)
            yield Failure(level.name, seed, number, fault, level.show(small))
        progress(1)


def draw_input(level: Level[Input], seed: int, number: int) -> Input:
    return level.draw(random.Random(f"{level.name} {seed} {number}"))


def judge(level: Level[Input], drawn: Input) -> str | None:
    """An exception is a fault as well."""
    try:
        return level.check(drawn)
    except Exception:
        return traceback.format_exc(limit=-4)


def minimise(level: Level[Input], drawn: Input, fault: str) -> tuple[Input, str]:
    """Take the first simpler input that fails, again and again, until none does."""
    tries = 0
    while True:
        for candidate in level.smaller(drawn):
            tries += 1
            if tries > MOST_TRIES:
                return drawn, fault
            found = judge(level, candidate)
            if found is not None:
                drawn, fault = candidate, found
                break
        else:
            return drawn, fault


def without_parts(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Without its first half, its second, each quarter, … each single part."""
    size = len(parts) // 2
    while size:
        for begin in range(0, len(parts), size):
            yield [*parts[:begin], *parts[begin + size :]]
        size //= 2
