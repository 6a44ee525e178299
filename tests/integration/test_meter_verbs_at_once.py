"""Verbs that come at the same time with one id, or to one end: each says what became of its own event."""

import asyncio
from subprocess import CompletedProcess

import pytest

from meter.runtime.kafka.admin import TopicAdmin
from meter.runtime.settings import Settings
from schemas.topics import ACCOUNTS
from tests.support.processes import Processes, ServiceProcess
from tests.support.waiting import until

WHY = ("--reason", "top_up", "--reference", "INV-1042")
ID = ("--event-id", "order 2041")
GRANT = ("grant", "acct-7", "model_credits")

Done = CompletedProcess[str]


@pytest.fixture
def meter(processes: Processes) -> ServiceProcess:
    done = processes.run("meter", "setup")
    assert done.returncode == 0, done.stderr
    processes.start("projections")
    return processes.start("meter")


async def run_at_once(
    processes: Processes, meter: ServiceProcess, settings: Settings, *commands: tuple[str, ...]
) -> list[Done]:
    """All of them have sent before the meter reads any; those that have an effect first."""

    async def count_sent() -> int:
        async with TopicAdmin(settings) as admin:
            return sum((await admin.end_offsets(ACCOUNTS)).values())

    before = await count_sent()
    meter.pause()
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(asyncio.to_thread(processes.run, "meter", *command)) for command in commands]

            async def all_sent() -> bool:
                return await count_sent() - before == len(commands)

            await until(all_sent, timeout_s=60, message="not all have sent")
            meter.resume()
    finally:
        meter.resume()
    return sorted((task.result() for task in tasks), key=lambda done: done.returncode)


async def open_account(processes: Processes, account: str = "acct-7") -> None:
    done = await asyncio.to_thread(processes.run, "meter", "open", account)
    assert done.returncode == 0, done.stderr


async def test_each_of_two_grants_with_one_id_says_what_became_of_its_own(
    processes: Processes, meter: ServiceProcess, settings: Settings
) -> None:
    """Both said `id_reused` before, though one was granted."""
    await open_account(processes)
    grants = [(*GRANT, amount, *WHY, *ID) for amount in ("7", "8")]
    first, second = await run_at_once(processes, meter, settings, *grants)
    assert (first.returncode, first.stderr) == (0, "")
    said = "granted {} model credits to acct-7; now {} of {} model credits left\n"
    assert first.stdout in (said.format(7, 82, 82), said.format(8, 83, 83))
    assert (second.returncode, second.stdout) == (1, "")
    assert "id_reused" in second.stderr and "meter rejections show" in second.stderr


# Verbs that send an event, by the account that each has for itself.
VERBS = {
    "acct-1": ("grant", "acct-1", "model_credits", "7", *WHY),
    "acct-2": ("revoke", "acct-2", "model_credits", "5", *WHY),
    "acct-3": ("accounts", "plan", "acct-3", "team", "--yes"),
    "acct-4": ("accounts", "rename", "acct-4", "Ann"),
    "acct-5": ("accounts", "contacts", "acct-5", "ann@example.com"),
    "acct-6": ("accounts", "close", "acct-6", "--yes"),
    "acct-7": ("open", "acct-7"),
    "acct-8": ("forget", "acct-8", "--reason", "asked", "--yes"),
}
NOTHING_NEW = "duplicate: the same event with id order 2041 was stored before, position"


async def test_the_second_of_two_equal_events_says_that_it_adds_nothing(
    processes: Processes, meter: ServiceProcess, settings: Settings
) -> None:
    """What is wrong is told of all verbs at once: they share the services, which take longer to start than to ask."""
    wrong: list[tuple[Done, Done]] = []
    for account, command in VERBS.items():
        if command[0] != "open":
            await open_account(processes, account)
        first, second = await run_at_once(processes, meter, settings, (*command, *ID), (*command, *ID))
        said = (first.returncode, first.stderr), (second.returncode, second.stdout)
        if said != ((0, ""), (1, "")) or NOTHING_NEW not in second.stderr:
            wrong.append((first, second))
    assert not wrong, wrong


async def test_an_opening_that_came_second_says_so(
    processes: Processes, meter: ServiceProcess, settings: Settings
) -> None:
    """It said `opened` before, with exit code 0."""
    team = ("open", "acct-7", "--plan", "team", "--contact", "ann@example.com", "--yes")
    first, second = await run_at_once(processes, meter, settings, team, ("open", "acct-7"))
    assert first.returncode == 0 and first.stdout.startswith("opened acct-7 on plan "), first.stderr
    assert (second.returncode, second.stdout) == (1, "")
    assert "came after that, at position" in second.stderr and "changed nothing" in second.stderr
    assert "plan: it has" in second.stderr


async def test_a_closing_of_what_another_has_closed_says_so(
    processes: Processes, meter: ServiceProcess, settings: Settings
) -> None:
    await open_account(processes)
    close = ("accounts", "close", "acct-7", "--yes")
    first, second = await run_at_once(processes, meter, settings, close, close)
    assert first.returncode == 0, first.stderr
    assert (second.returncode, second.stdout) == (1, "")
    assert "closes what is closed already" in second.stderr and "changed nothing" in second.stderr


async def test_an_opening_says_what_of_it_does_not_count(processes: Processes, meter: ServiceProcess) -> None:
    """What was said before the opening wins."""

    async def run(name: str, *arguments: str) -> Done:
        done = await asyncio.to_thread(processes.run, name, *arguments)
        assert done.returncode == 0, done.stderr
        return done

    await run("meter", "accounts", "plan", "acct-7", "team", "--yes")
    await run("meter", "accounts", "contacts", "acct-7", "billing@example.com", "--yes")
    opened = await run("meter", "open", "acct-7", "--contact", "ann@example.com")
    lines = opened.stdout.splitlines()
    assert lines[0] == "opened acct-7 on plan team, 1 contact"
    assert lines[3:] == [
        "contacts do not count: the account was given others before it was opened: left out",
        "plan does not count: the account was given another before it was opened: left out",
    ]
    explained = await run("projections", "explain", "acct-7")
    assert "\topened\t\t\t1\tfree\tteam\t" in explained.stdout
