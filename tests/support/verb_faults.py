"""Asks a verb under a fault of its settings or servers, and judges what it says. In this process, because many are."""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from typer.testing import CliRunner

from tests.support.verb_arguments import ARGUMENTS
from tests.support.verbs import APPS

WRONG: Final = "hunter2"  # a password, which nobody may be shown
# What only a program says: classes, numbers of errors, words of a library.
RAW: Final = re.compile(
    r"Traceback|Error\b|\[Err|Exception|asyncpg|aiokafka|<[A-Za-z]|0x[0-9a-f]+|gaierror|Unable to bootstrap"
)


class Fault(NamedTuple):
    changes: dict[str, str]  # variables
    code: int
    words: Sequence[str]  # of the sentence


def try_verb(verb: tuple[str, ...], fault: Fault, env: Mapping[str, str], **ids: str) -> str:
    """What is wrong with what the verb says and how it ends; "" for nothing."""
    names = {"event": "request-1", "rejection": "1", "directory": "."} | ids
    typed = ARGUMENTS[" ".join(verb)].arguments.format(**names)
    cleared = dict.fromkeys(name for name in os.environ if name.startswith(("METERING_", "PG")))
    done = CliRunner().invoke(APPS[verb[0]], [*verb[1:], *typed.split()], env=cleared | dict(env) | fault.changes)
    lacking = [word for word in fault.words if word not in done.stderr]
    raw = RAW.findall(done.stderr)
    if done.exit_code == fault.code and not lacking and not raw and WRONG not in done.output:
        return ""
    said = f"{' '.join(verb)}: {done.exit_code} {done.stderr!r} {done.stdout!r} {done.exception!r}"
    return f"{said} lacks {lacking}, has {raw}"
