"""What is wrong with the arguments of a command, in words for people, broken at the width of their terminal.

Typer's words are its libraries' ("Input should be a valid integer, unable to parse string as an integer"), its lines
are as long as they get, and it does not say what an argument that is missing is for.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO

# Typer brings its own copy of Click, which has no public name: test_usage.py notices a change.
from typer._click.exceptions import (
    BadOptionUsage,
    BadParameter,
    MissingParameter,
    NoArgsIsHelpError,
    NoSuchOption,
    UsageError,
)

from meter.runtime.process.terminal import fit, printable

SHORTENED: Final = "this id is shortened. The list shows it whole with --full-ids, and in a pipe."
MAX_SHOWN_CHARS: Final = 60  # of what was typed
EXTRA: Final = re.compile(r"Got unexpected extra argument\(s\) \((.*)\)", re.DOTALL)
NO_COMMAND: Final = re.compile(r"No such command '(.*?)'\.?(?: Did you mean (.*)\?)?", re.DOTALL)


class ArgumentsError(UsageError):
    """Shown as what was typed, what is wrong with it, and where help is."""

    def show(self, file: Any = None) -> None:
        stream: TextIO = file or sys.stderr
        print(fit(f"{self.message}\n{self.advice()}", stream), file=stream)

    def advice(self) -> str:
        return f"See `{self.ctx.command_path} --help`." if self.ctx is not None else "See `--help`."


@contextmanager
def in_our_words(context: Any = None) -> Iterator[None]:
    """Raises ArgumentsError in place of the library's faults; a command without arguments still shows its help.

    `context` is of the group whose help is named where a fault does not say of which command it is.
    """
    try:
        yield
    except (ArgumentsError, NoArgsIsHelpError):
        raise
    except UsageError as error:
        raise ArgumentsError(describe(error), error.ctx or context) from None


def describe(error: UsageError) -> str:
    if isinstance(error, MissingParameter):
        return describe_missing(error)
    if isinstance(error, BadParameter):
        return f"{name_of(error)}: {describe_value(error)}"
    if isinstance(error, NoSuchOption):
        meant = f": did you mean {' or '.join(sorted(error.possibilities))}?" if error.possibilities else ""
        return f"there is no option {shown(error.option_name)}{meant}"
    if isinstance(error, BadOptionUsage):
        without = "does not take a value" in error.message
        return f"{shown(error.option_name)} {'takes no value' if without else 'needs a value behind it'}"
    if extra := EXTRA.fullmatch(error.message):
        return f"too many arguments: {shown(extra[1])}. Text with blanks needs quotes around it."
    if unknown := NO_COMMAND.fullmatch(error.message):
        meant = f": did you mean {unknown[2].replace(chr(39), '')}?" if unknown[2] else ""
        return f"there is no command {shown(unknown[1])}{meant}"
    return error.message


def describe_missing(error: MissingParameter) -> str:
    what = getattr(error.param, "help", None)
    return f"{name_of(error)} is missing" + (f". Give it: {what}" if what else "")


def describe_value(error: BadParameter) -> str:
    """Of a validation error of Typer's the kind counts; what we raise ourselves has words for people."""
    cause: Any = error.__cause__
    if not hasattr(cause, "errors"):
        return error.message
    from schemas.faults import explain_fault

    [fault, *_] = cause.errors(include_url=False)
    if is_shortened(fault["input"]):
        return SHORTENED
    said = explain_fault(fault["type"], fault.get("ctx", {}), fault["msg"])
    typed, choices = fault["input"], list(getattr(error.param, "choices", None) or find_choices(error))
    if choices:
        return f"there is no {shown(typed)}. Give one of {', '.join(choices)}."
    return f"{shown(typed)} {said}"


def is_shortened(typed: object) -> bool:
    """Whether it is an id as a table shows it that has no room for it; it may stand for several."""
    return "\N{HORIZONTAL ELLIPSIS}" in str(typed)


def find_choices(error: BadParameter) -> list[str]:
    """What an argument of few values takes."""
    from enum import Enum

    kind = getattr(getattr(error.param, "type_descriptor", None), "annotation", None)
    return [str(member.value) for member in kind] if isinstance(kind, type) and issubclass(kind, Enum) else []


def name_of(error: BadParameter) -> str:
    """As people type it: `--limit`, `ACCOUNT_ID`."""
    if error.param_hint is not None:
        return str(error.param_hint)
    param: Any = error.param
    if param is None:
        return "an argument"
    if param.param_type_name == "option":
        return str(max(param.opts, key=len))
    return str(param.metavar or param.name).upper()


def shown(typed: object) -> str:
    text = printable(str(typed))
    return f"'{text[:MAX_SHOWN_CHARS]}…'" if len(text) > MAX_SHOWN_CHARS else f"'{text}'"
