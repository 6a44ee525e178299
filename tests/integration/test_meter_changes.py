"""`meter accounts plan|rename|contacts|close|reopen` and `unopened` beside running services: each with its effect."""

import json
from typing import Any

import pytest

from meter.runtime.postgres import Pool
from tests.integration.test_meter_verbs import answer, services
from tests.support.processes import Processes

__all__ = ["services"]
OFFSETS = "SELECT sum(accounts_offset)::int FROM meter.shards"


def change(services: Processes, *arguments: str) -> str:
    done = services.run("meter", "accounts", *arguments)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def refuse(services: Processes, *arguments: str) -> str:
    done = services.run("meter", "accounts", *arguments)
    assert (done.returncode, done.stdout) == (1, ""), done.stdout
    return done.stderr


KEPT_GRANT = {"resource": "model_credits", "amount": "3", "events": 1}


def show(services: Processes, account: str) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(change(services, "show", account, "--json"))
    return shown


async def test_each_verb_prints_its_effect_and_refuses_to_repeat_it(services: Processes, pool: Pool) -> None:
    assert services.run("meter", "open", "acct-7", "--contact", "owner@example.com").returncode == 0
    typo = refuse(services, "plan", "acct-7", "taem")
    assert typo == (
        "no account has plan taem; accounts have free: nothing is sent. Repeat with --yes if that is meant.\n"
    )
    assert (
        change(services, "plan", "acct-7", "TEAM", "--yes") == "acct-7 has plan team; now open, plan team, 1 contact\n"
    )
    renamed = change(services, "rename", "acct-7", "Ann & Co", "--time-zone", "Europe/Berlin")
    assert renamed.startswith("acct-7 is named Ann & Co and has time zone Europe/Berlin; now open, plan team, name Ann")
    told = json.loads(change(services, "contacts", "acct-7", "a@example.com", "b@b\u00fccher.example", "--json"))
    assert (told["state"], told["contacts"]) == ("open", ["a@example.com", "b@xn--bcher-kva.example"])
    assert "nobody can be asked" not in refuse(services, "close", "acct-7")
    assert change(services, "close", "acct-7", "--yes").splitlines() == [
        "closed acct-7; now closed, plan team, name Ann & Co, time zone Europe/Berlin, 2 contacts",
        "now 75 of 75 model credits left, refused: the account is closed",
        "now 10,000 of 10,000 tool runs left, refused: the account is closed",
    ]
    sent = await pool.fetchval(OFFSETS)
    for again in (["close", "acct-7", "--yes"], ["plan", "acct-7", "Team"], ["rename", "acct-7", "Ann & Co"],
                  ["contacts", "acct-7", "B@b\u00fccher.example", "a@example.com"]):  # fmt: skip
        assert "acct-7 is as it was asked to be: closed, plan team" in refuse(services, *again)
    assert await pool.fetchval(OFFSETS) == sent
    reopened = change(services, "reopen", "acct-7")
    assert reopened.startswith("reopened acct-7; now open, ") and "now 75 of 75 model credits left\n" in reopened
    assert "no contacts: none" in change(services, "contacts", "acct-7", "--none")
    shown = show(services, "acct-7")
    assert (shown["state"], shown["time_zone"], shown["contacts"]) == ("open", "Europe/Berlin", [])
    assert await pool.fetchval("SELECT count(*) FROM meter.rejections") == 0
    done = services.run("projections", "verify")
    assert (done.returncode, done.stdout) == (0, "")


async def test_closing_is_asked_for(services: Processes, env: dict[str, str], pool: Pool) -> None:
    assert services.run("meter", "open", "acct-7").returncode == 0
    assert "nothing is sent. Repeat with --yes" in refuse(services, "close", "acct-7")
    refused = answer(["accounts", "close", "acct-7"], env, "n\n")
    assert refused.returncode == 1 and "Close it?" in refused.stderr and "nothing is sent" in refused.stderr
    assert await pool.fetchval(OFFSETS) == 1
    assert answer(["accounts", "close", "acct-7"], env, "y\n").stdout.startswith("closed acct-7")


async def test_what_nobody_opened_is_kept_listed_and_applied(services: Processes, pool: Pool) -> None:
    for verb in "close", "reopen":
        assert "nobody opened acct-9" in refuse(services, verb, "acct-9")
    assert "nobody opened acct-9: nothing is sent. Repeat with --yes" in refuse(services, "plan", "acct-9", "team")
    assert change(services, "plan", "acct-9", "team", "--yes").startswith("kept: acct-9 has plan team. Nobody opened")
    change(services, "contacts", "acct-9", "billing@example.com", "--yes")
    why = ("--reason", "top_up", "--reference", "INV-1042")
    assert services.run("meter", "grant", "acct-9", "model_credits", "3", *why, "--yes").returncode == 0
    [line] = change(services, "unopened", "--json").splitlines()
    kept = json.loads(line)
    assert kept["since"] is not None
    assert [kept[name] for name in ("account", "credits_granted", "credits_used", "plan", "contacts")] == [
        "acct-9", "3", "0", "team", 1
    ]  # fmt: skip
    shown = show(services, "acct-9")
    assert (shown["opened"], shown["kept_plan"], shown["kept_contacts"]) == (None, "team", ["billing@example.com"])
    assert shown["kept_name"] is None
    assert (shown["kept_grants"], shown["kept_events"]) == ([KEPT_GRANT], 3)
    opened = services.run("meter", "open", "acct-9", "--contact", "owner@example.com")
    assert opened.stdout.splitlines()[:2] == [
        "opened acct-9 on plan team, 1 contact",
        "now 78 of 78 model credits left",
    ]
    assert show(services, "acct-9")["contacts"] == ["billing@example.com"]
    assert len(change(services, "unopened").splitlines()) == 1


@pytest.mark.parametrize("verb", ["plan", "contacts"])
async def test_without_waiting_the_id_is_printed(services: Processes, verb: str) -> None:
    value = "team" if verb == "plan" else "a@example.com"
    assert change(services, verb, "acct-7", value, "--no-wait", "--event-id", "order 7") == "order 7\n"
