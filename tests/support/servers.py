"""Which servers the tests run on: started by this run, or running already (METERING_TEST_STACK)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.stack import Addresses, Stack, explain_choice, foresee

KAFKA, POSTGRES, STACK = "METERING_TEST_KAFKA", "METERING_TEST_POSTGRES", "METERING_TEST_STACK"


def is_forced() -> bool:
    return any(os.environ.get(variable) for variable in (KAFKA, POSTGRES, STACK))


class WrongStackError(Exception):
    """What is forced by the environment cannot be had."""


def running_stack() -> Addresses | None:
    """The stack of METERING_TEST_STACK, checked against what is forced."""
    file = os.environ.get(STACK)
    if not file:
        return None
    try:
        addresses = Addresses.read(Path(file))
    except (OSError, ValueError, TypeError) as error:
        raise WrongStackError(
            f"{STACK}={file} cannot be read ({error}): write one with `python -m deploy.local.stack --write FILE`"
        ) from error
    for variable, kind in ((KAFKA, addresses.kafka_kind), (POSTGRES, addresses.postgres_kind)):
        if os.environ.get(variable, kind) != kind:
            raise WrongStackError(f"{variable} forces {os.environ[variable]}, but {STACK} has {kind}")
    return addresses


@contextmanager
def use_stack() -> Iterator[Addresses]:
    running = running_stack()
    if running is not None:
        yield running
        return
    with Stack.start(kafka=os.environ.get(KAFKA) or None, postgres=os.environ.get(POSTGRES) or None) as stack:
        yield stack.addresses


def describe_choice() -> list[str]:
    """For pytest's header: what will be used. Starts nothing. Raises WrongStackError when a forced part is missing."""
    running = running_stack()
    if running is not None:
        return [f"{name}: {choice}, running already" for name, choice in running.picked.items()]
    lines = []
    for name, seen in foresee(os.environ.get(KAFKA) or None, os.environ.get(POSTGRES) or None).items():
        if seen.name is None:
            raise WrongStackError(f"no {name} can be had: {'; '.join(seen.passed_over)}")
        lines.append(f"{name}: {explain_choice(seen.name, seen.passed_over)}")
    return lines
