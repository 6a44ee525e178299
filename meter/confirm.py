"""A question before something that is not easily undone."""

import sys
from typing import Final

from meter.presentation import printable
from meter.runtime.errors import InterruptionError, RefusalError
from meter.runtime.process.interruption import INTERRUPTED, interruptible
from meter.runtime.process.terminal import fit

YES: Final = frozenset({"y", "yes"})


def confirm(fact: str, question: str, *, nothing: str = "nothing is sent") -> None:
    """Ask on a terminal. Raises RefusalError for no, and in a pipe, where nobody can be asked; InterruptionError for
    Ctrl-C.

    The question goes to stderr: what stdout gets may be read by a program.
    """
    if not sys.stdin.isatty():
        raise RefusalError(f"{fact}: {nothing}. Repeat with --yes if that is meant.")
    print(fit(f"{printable(fact)}.", sys.stderr), file=sys.stderr)
    if read_answer(question, nothing).strip().lower() not in YES:
        raise RefusalError(nothing)


def read_answer(question: str, nothing: str) -> str:
    try:
        with interruptible():
            # On a line of its own, where there is room for the answer.
            print(f"{question} [y/N]:", end=" ", file=sys.stderr, flush=True)
            return sys.stdin.readline()
    except KeyboardInterrupt:
        print(file=sys.stderr)  # the terminal has shown ^C behind the question
        raise InterruptionError(f"{INTERRUPTED}. {nothing[0].upper()}{nothing[1:]}.") from None
