"""Texts where nothing is left, more was used than there was, or nothing was ever there."""

import re

import pytest

from notifier.decide import BalanceSnapshot
from notifier.model import BannerKind
from notifier.samples import SAMPLES
from schemas.amounts import MICRO
from tests.unit.notifier.builders import RENDERER, account, balance
from tests.unit.notifier.composing import compose, part


@pytest.mark.parametrize("consumed", [75 * MICRO, 80 * MICRO])
def test_at_the_end_a_letter_says_that_calls_are_refused_now(consumed: int) -> None:
    message = compose(RENDERER, balance(consumed, 3, line=90))
    assert "% of model credits used, model calls refused: Example Account" in message["Subject"]
    for kind in ("plain", "html"):
        text = part(message, kind)
        assert "are refused now" in text and "When no model credits remain" not in text
        assert "efused now" not in part(compose(RENDERER, balance(75 * MICRO - 1, 3, line=90)), kind)


@pytest.mark.parametrize(
    ("used", "says"),
    [
        (balance(75 * MICRO, 3, line=90, free_only=True), "The free model credits are used up"),
        (balance(75 * MICRO, 3, line=90, free_only=False), "The model credits are used up"),
        (balance(75 * MICRO, 3, line=90), "The model credits are used up"),
        (balance(5 * MICRO, 3, line=90, allocation=0, free_only=False), "The model credits are overdrawn"),
        (balance(0, 3, line=90, allocation=0, free_only=True), "No model credits are left"),
    ],
)
def test_the_end_is_named_by_what_was_ever_granted(used: BalanceSnapshot, says: str) -> None:
    for plan in ("free", "team"):
        message = compose(RENDERER, used, plan=plan)
        for kind in ("plain", "html"):
            assert f"{says}: model calls, guardrails and custom scripts are refused now." in part(message, kind)


def test_an_overdraft_has_its_amount_and_no_percent() -> None:
    message = compose(RENDERER, balance(5 * MICRO, 3, line=90, allocation=0))
    assert message["Subject"] == "Model credits overdrawn, model calls refused: Example Account"
    plain = part(message, "plain")
    assert "Overdrawn:  5 model credits" in plain.splitlines() and "%" not in plain
    for kind in ("plain", "html"):
        text = part(message, kind)
        assert "All model credits that were granted are used up or were taken back, and 5 more were used." in text
        assert "A top-up has to be more than that." in text and "5 of 0" not in text
    assert "100 %" not in part(message, "html").replace('width="100%"', "")


NO_CREDITS = balance(0, 3, line=90, allocation=0)  # all were taken back, or a top-up went into the overdraft
NO_RUNS = balance(0, 4, line=90, allocation=0, resource="tool_runs")
OVER = balance(5 * MICRO, 3, line=90, allocation=0)
HALF = balance(7_100 * MICRO, 4, allocation=10_000 * MICRO, resource="tool_runs", line=70)
REFUSED = "model calls refused"


@pytest.mark.parametrize(
    ("balances", "subject", "headline"),
    [
        ([NO_CREDITS], f"No model credits left, {REFUSED}", "No model credits are left"),
        (
            [NO_CREDITS, HALF],
            f"No model credits left, 71 % of tool runs used, {REFUSED}",
            "71 % of the tool runs are used, and no model credits are left",
        ),
        (
            [NO_CREDITS, NO_RUNS],
            f"No model credits and no tool runs left, {REFUSED.replace(' ref', ' and tool calls ref')}",
            "No model credits and no tool runs are left",
        ),
        (
            [OVER, NO_RUNS],
            f"Model credits overdrawn, no tool runs left, {REFUSED.replace(' ref', ' and tool calls ref')}",
            "The model credits are overdrawn, and no tool runs are left",
        ),
        (
            [OVER, HALF],
            f"Model credits overdrawn, 71 % of tool runs used, {REFUSED}",
            "71 % of the tool runs are used, and the model credits are overdrawn",
        ),
    ],
)
def test_an_allocation_of_nothing_has_no_percent(balances: list[BalanceSnapshot], subject: str, headline: str) -> None:
    """A letter said that 100 % are used to an account whose credits were all taken back and that had used none."""
    message = compose(RENDERER, *balances)
    assert message["Subject"] == f"{subject}: Example Account"
    plain, html = part(message, "plain"), part(message, "html")
    assert plain.splitlines()[0] == headline and f">{headline}</h1>" in html
    for banner in (RENDERER.render_banner(kind, balances[0], 100, account()) for kind in list(BannerKind)[1:]):
        assert "have expired" not in banner and "are used" not in banner and "%" not in banner
    for text in (plain, re.sub(r'(width="|:)[0-9]+%', "", html)):
        assert "100 %" not in text and " of 0" not in text and "100%" not in text
        if NO_CREDITS in balances:
            assert "All model credits that were granted are used up or were taken back." in text


def test_the_samples_have_both_states_of_an_allocation_of_nothing() -> None:
    """So `notifier preview` shows them, and own templates are tried on them at start."""
    nothing = [balance for sample in SAMPLES for balance in sample.balances if balance.allocation == 0]
    assert {balance.remaining for balance in nothing} == {0, -5 * MICRO}


@pytest.mark.parametrize(
    ("consumed", "free_only", "says"),
    [
        (76 * MICRO, False, "are used up, and 1 more was used. A top-up has to be more than that."),
        (80_500_000, True, "are used up, and 5.5 more were used."),
        (75_000_001, False, "are used up, and less than 0.01 more were used."),
    ],
)
def test_what_was_used_beyond_the_end_has_its_reason(consumed: int, free_only: bool, says: str) -> None:
    message = compose(RENDERER, balance(consumed, 3, line=90, free_only=free_only))
    for kind in ("plain", "html"):
        text = part(message, kind)
        assert f"All model credits that were granted {says}" in text
        assert ("A top-up has to be more" in text) == ("A top-up" in says) and "taken back" not in text
    assert "that were granted" not in part(compose(RENDERER, balance(75 * MICRO, 3, line=90)), "plain")


def test_two_that_are_used_up_stand_in_one_subject() -> None:
    runs = balance(10_001 * MICRO, 4, allocation=10_000 * MICRO, resource="tool_runs", line=90)
    assert compose(RENDERER, balance(80 * MICRO, 3, line=90), runs)["Subject"] == (
        "106 % of model credits and 100 % of tool runs used, model calls and tool calls refused: Example Account"
    )
