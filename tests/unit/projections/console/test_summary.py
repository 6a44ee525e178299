"""The summary: the worse resource decides, nothing stale sounds sure, and rounding flatters nobody."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from projections.console.figures import show_ago, show_amount, show_days, show_duration, show_percent
from projections.console.limits import RateLimit
from projections.console.rendering import make_templates
from projections.console.summary import Summary, summary_of, to_json
from schemas.resources import Resource

NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)
STALE = timedelta(seconds=10)


def balance(resource: str, consumed: str, allocation: str, status: str, **more: Any) -> dict[str, Any]:
    used, whole = Decimal(consumed), Decimal(allocation)
    return {
        "resource": resource, "allocation": float(whole), "consumed": float(used), "remaining": float(whole - used),
        "exhaustion": 50.5, "status": status, "allowed": whole > used, "epoch": 1, "free_only": True,
        "account_state": "open",
    } | more  # fmt: skip


def row(*balances: dict[str, Any], **more: Any) -> dict[str, Any]:
    found = {"account_id": "acct-1", "plan": "free", "display_name": None, "time_zone": None, "state": "open",
             "as_of": NOW, "lag": timedelta(0), "balances": json.dumps(balances), "banners": "[]",
             "runways": "[]"}  # fmt: skip
    return found | more


def test_the_worse_resource_decides() -> None:
    summary = summary_of(row(balance("model_credits", "60", "75", "low"), balance("tool_runs", "1", "10000", "good")))
    assert summary.status == "low"
    assert summary.sentence() == "Credit usage. Model credits: 20 % left, low. Tool runs: 100 % left, good."


@pytest.mark.parametrize(("used", "left"), [("74.26", "less than 1"), ("74.25", "1"), ("74.999999", "less than 1")])
def test_what_is_left_is_not_nothing(used: str, left: str) -> None:
    """It said 0 % left, of what could still be used."""
    summary = summary_of(row(balance("model_credits", used, "75", "low")))
    assert summary.sentence() == f"Credit usage. Model credits: {left} % left, low."


def test_of_an_account_nobody_knows_nothing_is_allowed() -> None:
    summary = summary_of(row(state=None, as_of=None, lag=None))
    assert (summary.state, summary.status) == ("not_opened", "exhausted")
    assert not summary.allowed(Resource.MODEL_CREDITS)
    assert summary.sentence() == "Credit usage: this account is not opened yet."
    assert not summary.is_stale(STALE)


def test_an_account_whose_opening_may_not_be_folded_yet_is_not_surely_unopened() -> None:
    summary = summary_of(row(state=None, lag=timedelta(minutes=5)))
    told = to_json(summary, STALE)
    assert (told["state"], told["stale"], told["sentence"]) == ("not_opened", True, "Credit usage, not up to date.")


@pytest.mark.parametrize(("age_s", "stale"), [(0, False), (10, False), (10.5, True), (3600, True)])
def test_figures_far_behind_the_log_are_stale(age_s: float, stale: bool) -> None:
    """By the clock of the database alone: that of the console may be an hour off."""
    summary = summary_of(row(balance("tool_runs", "1", "2", "moderate"), lag=timedelta(seconds=age_s)))
    assert summary.is_stale(STALE) is stale
    assert ("not up to date" in summary.sentence(stale)) is stale


def test_amounts_stay_exact_and_words_round_against_nobody() -> None:
    shown = balance("model_credits", "74.999", "75", "low") | {"consumed": 74.999, "remaining": 0.001}
    share = to_json(summary_of(row(shown)), STALE)["resources"][0]
    assert (share["consumed"], share["remaining"]) == ("74.999", "0.001")
    assert (share["used_text"], share["left_text"]) == ("74.99 of 75 used", "less than 0.01 left")


def test_a_runway_is_left_out_where_nobody_asked_and_where_nothing_is_left() -> None:
    runways = json.dumps([{"resource": "tool_runs", "pace_per_hour": 2.5, "empty_at": "2026-11-27T14:00:00+00:00"}])
    full = summary_of(row(balance("tool_runs", "1", "2", "moderate"), runways=runways))
    said = to_json(full, STALE, now=NOW)["resources"][0]["runway"]["text"]
    assert said.endswith("the rest lasts until Fri 27 Nov 2026, 14:00")
    assert "runway" not in to_json(full, STALE)["resources"][0]
    gone = summary_of(row(balance("tool_runs", "2", "2", "exhausted"), runways=runways))
    assert to_json(gone, STALE, now=NOW)["resources"][0]["runway"] is None


def test_a_banner_of_another_epoch_is_another_banner() -> None:
    def key(**changes: Any) -> str:
        banner = {
            "resource": "model_credits", "threshold": 70, "kind": "low", "removable": True, "text": "t", "epoch": 1,
            "raised_at": "2026-11-26T09:00:00+00:00",
        }  # fmt: skip
        return summary_of(row(banners=json.dumps([banner | changes]))).banners[0].key

    assert len({key(), key(epoch=2), key(threshold=80), key(resource="tool_runs")}) == 4
    assert key() == key(text="other")


@pytest.mark.parametrize(
    ("banner", "share", "shown"),
    [
        ({"removable": False}, {"status": "exhausted"}, True),
        ({"removable": False}, {"status": "good"}, False),
        ({"removable": False}, {"status": "exhausted", "epoch": 2}, False),
        ({"threshold": 90}, {"status": "low"}, True),
        ({"threshold": 90}, {"status": "low", "epoch": 2}, False),
        ({"threshold": 90, "epoch": 2}, {"status": "low"}, True),
        ({"removable": False}, {"resource": "tool_runs", "status": "good"}, True),
    ],
)
def test_while_the_notifier_is_behind_no_banner_contradicts_the_balance_beside_it(
    banner: dict[str, Any], share: dict[str, Any], shown: bool
) -> None:
    """Of an epoch that is over, or of nothing left beside what is left."""
    found = {
        "resource": "model_credits", "threshold": 100, "kind": "exhausted", "removable": True, "text": "t", "epoch": 1,
        "raised_at": "2026-11-26T09:00:00+00:00",
    } | banner  # fmt: skip
    told = balance("model_credits", "1", "75", "good") | share
    summary = summary_of(row(told, banners=json.dumps([found])))
    assert (len(summary.banners) == 1) is shown
    assert (len(to_json(summary, STALE)["banners"]) == 1) is shown
    if not shown:
        assert summary.shares[0].exhausted_since is None, "that of another epoch"


@pytest.mark.parametrize(
    ("consumed", "allocation", "used", "left"),
    [
        ("74.999", "75", "74.99 of 75 used", "less than 0.01 left"),
        ("70.005", "75.009", "70 of 75 used", "5 left"),
        ("50000", "0.000001", "50,000 of less than 0.01 used", "\u221249,999.99 left"),
        ("0", "1234567.5", "0 of 1,234,567.5 used", "1,234,567.5 left"),
    ],
)  # fmt: skip
def test_a_balance_is_shown_as_letters_and_commands_show_it(
    consumed: str, allocation: str, used: str, left: str
) -> None:
    exact = {"consumed": consumed, "allocation": allocation, "remaining": str(Decimal(allocation) - Decimal(consumed))}
    shown = row(balance("model_credits", consumed, allocation, "low"))
    told = json.loads(shown["balances"])
    shown["balances"] = json.dumps([told[0] | exact])
    share = to_json(summary_of(shown), STALE)["resources"][0]
    assert (share["used_text"], share["left_text"]) == (used, left)


def test_figures_for_people() -> None:
    assert show_percent(Decimal("70.7")) == "70.70\u00a0%"
    assert show_amount(Decimal("12.345")) == "12.34"
    assert [show_ago(timedelta(seconds=s)) for s in (-3, 2, 200, 7200, 90_000, 200_000)] == [
        "0 s", "2 s", "3 min", "2 h", "1 day", "2 days",
    ]  # fmt: skip
    assert show_duration(3_900) == "1:05 h"


def test_a_client_is_limited_and_others_are_not() -> None:
    limit = RateLimit(60)
    assert all(limit.take("a", 0) == 0 for _ in range(60))
    assert limit.take("a", 0) == pytest.approx(1)
    assert limit.take("b", 0) == 0
    assert limit.take("a", 1.01) == 0


def test_the_memory_of_clients_is_bounded() -> None:
    limit = RateLimit(60)
    for n in range(20_000):
        limit.take(str(n), 0)
    assert len(limit._buckets) == 10_000


def test_days_say_the_year_once_where_it_is_the_same() -> None:
    shown = [
        show_days(first, date(2026, 11, 26)) for first in (date(2026, 10, 28), date(2025, 11, 27), date(2026, 11, 26))
    ]
    assert shown == ["28 Oct to 26 Nov 2026", "27 Nov 2025 to 26 Nov 2026", "26 Nov 2026"]


def test_times_in_sentences_are_of_the_accounts_zone() -> None:
    banner = {"resource": "tool_runs", "threshold": 100, "kind": "low", "removable": False, "text": "t", "epoch": 1,
              "raised_at": "2026-11-26T23:30:00+00:00"}  # fmt: skip
    runways = json.dumps([{"resource": "model_credits", "pace_per_hour": 1, "empty_at": "2026-11-27T14:00:00+00:00"}])
    shares = balance("model_credits", "1", "75", "good"), balance("tool_runs", "2", "2", "exhausted")
    summary = summary_of(row(*shares, banners=json.dumps([banner]), runways=runways))
    credits, runs = to_json(summary, STALE, ZoneInfo("Asia/Kathmandu"), now=NOW)["resources"]
    assert credits["runway"]["text"].endswith("the rest lasts until Fri 27 Nov 2026, 19:45")
    assert (credits["exhausted_since_text"], runs["exhausted_since_text"]) == (None, "Fri 27 Nov 2026, 05:15")


@pytest.mark.parametrize(
    ("now", "ghost"),
    [
        ("2026-03-28T12:00+00:00", "32.67"),  # 11 hours until midnight in Berlin
        ("2026-03-28T23:00+00:00", "48.67"),  # a day of 23 hours begins
        ("2026-03-29T21:59+00:00", "18.02"),
        ("2026-10-24T22:00+00:00", "51.33"),  # one of 25
    ],
)
def test_the_ghost_ends_where_the_day_of_the_account_ends(now: str, ghost: str) -> None:
    at = datetime.fromisoformat(now).astimezone(ZoneInfo("Europe/Berlin"))
    runway = {"resource": "model_credits", "pace_per_hour": "1", "empty_at": "2027-01-01T00:00:00Z"}
    found = summary_of(row(balance("model_credits", "13.5", "75", "good"), runways=json.dumps([runway]))).shares[0]
    assert f"{found.used_by_midnight(at):.2f}" == ghost
    without = summary_of(row(balance("model_credits", "13.5", "75", "good"))).shares[0]
    assert without.used_by_midnight(at) == 18


def test_an_allocation_of_nothing_has_no_percent_and_need_not_be_used_up() -> None:
    """All of it may have been taken back."""
    summary = summary_of(row(balance("model_credits", "0", "0", "exhausted", exhaustion=100)))
    assert summary.sentence() == "Credit usage. Model credits: nothing left."
    used = summary_of(row(balance("model_credits", "75", "75", "exhausted", exhaustion=100)))
    assert "%" not in share_text(summary) and "100.00\u00a0%" in share_text(used)


def share_text(summary: Summary) -> str:
    html = make_templates().get_template("macros.html.j2").module.share(summary.shares[0], False, NOW)  # type: ignore[attr-defined]
    return re.sub("<[^>]*>", "", html)
