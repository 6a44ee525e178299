"""Rebuild and verify: whole command lines over a valid log, their start included."""

from typing import NamedTuple

from tests.bench.databases import connect, read_progress
from tests.bench.scenario import Scenario
from tests.bench.services import time_command

COMMANDS = {
    "rebuild": ("projections", "rebuild"),
    "rebuild_balances": ("projections", "rebuild", "balances"),
    "verify": ("meter", "verify"),
    "verify_projections": ("projections", "verify"),
}


class Pass(NamedTuple):
    per_s: float
    events: int
    seconds: float


async def measure_command(scenario: Scenario, command: str) -> Pass:
    """On a copy of the scenario's template, so that every pass finds the same."""
    databases = scenario.bench.databases
    dsn = await databases.create("pass", scenario.template)
    async with connect(dsn) as connection:
        events = (await read_progress(connection)).stored
    seconds = time_command(COMMANDS[command], scenario.settings(dsn))
    await databases.drop("pass")
    return Pass(events / seconds, events, seconds)
