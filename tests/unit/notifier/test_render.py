"""Texts: what they say of what was used, what is left and what to do; a name in them stays text."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from notifier.model import BannerKind
from notifier.render import Renderer, Sender
from schemas.amounts import MICRO
from tests.unit.notifier.builders import AT, RENDERER, account, balance
from tests.unit.notifier.composing import RUNS, USED, compose, part


def test_both_parts_say_what_was_used_of_what_where_and_what_to_do() -> None:
    message = compose()
    for kind in ("plain", "html"):
        text = part(message, kind)
        for said in (
            "52.5 of 75 model credits",
            "22.5 model credits",
            "70 %",
            "Example Account",
            "acc-1",
            "https://example.com/billing",
        ):
            assert said in text, (kind, said)
        assert "or with questions: ask" in text
    assert "Used:       52.5 of 75 model credits (70 %)" in part(message, "plain")


def test_one_letter_tells_both_resources_the_most_used_first_and_as_of_when() -> None:
    message = compose(RENDERER, USED, RUNS)
    assert message["Subject"] == "71 % of tool runs and 70 % of model credits used: Example Account"
    for kind in ("plain", "html"):
        text = part(message, kind)
        assert text.index("7,100") < text.index("52.5 of")
        assert "5 March 2026, 09:30 UTC" in text


def test_a_resource_without_a_line_is_shown_and_not_in_the_subject() -> None:
    message = compose(RENDERER, balance(3 * MICRO, 4, resource="tool_runs", allocation=10_000 * MICRO), USED)
    assert message["Subject"] == "70 % of model credits used: Example Account"
    assert "3 of 10,000 tool runs" in part(message, "plain")


def test_a_letter_without_links_says_whom_to_ask() -> None:
    bare = Sender(address="a@example.com", product="the example platform")
    billing = "https://example.com/billing"
    for sender, says, never in (
        (
            bare,
            "to upgrade the plan, or with questions: ask the people who run the example platform.",
            "Contact support",
        ),
        (replace(bare, reply_to="help@example.com"), "or with questions: ask help@example.com.", "Contact support"),
        (
            replace(bare, billing_url=billing),
            "To have more added, or with questions: ask the people",
            "the billing page",
        ),
        (
            replace(bare, support_email="help@example.com"),
            "ave more added, upgrade the plan, or ask about",
            "the people",
        ),
    ):
        message = compose(Renderer(sender))
        for kind in ("plain", "html"):
            text = part(message, kind)
            assert says in text and never not in text, (kind, says, text)


def test_one_is_singular() -> None:
    runs = balance(9 * MICRO, 3, allocation=10 * MICRO, resource="tool_runs", line=90)
    plain = part(compose(RENDERER, runs), "plain")
    assert "Remaining:  1 tool run" in plain.splitlines() and "9 of 10 tool runs" in plain


@pytest.mark.parametrize("name", ['<b>Bold</b> & "Co"', "<script>alert(1)</script>"])
def test_display_names_are_text_in_html(name: str) -> None:
    html = part(compose(display_name=name), "html")
    assert name not in html and "&lt;" in html
    assert name in part(compose(display_name=name), "plain")


def test_banners_say_what_to_do() -> None:
    low, free, paid = (RENDERER.render_banner(kind, USED, 70, account()) for kind in BannerKind)
    assert "70 %" in low and "Top up or upgrade" in low
    assert "When no model credits remain, model calls, guardrails and custom scripts are refused." in low
    assert "free model credits" in free and "Upgrade the plan" in free and "op up" not in free
    assert "Top up or upgrade the plan" in paid and "free" not in paid
    assert "are refused now" in free and "are refused now" in paid
    assert "acc-1" in RENDERER.render_banner(BannerKind.LOW, USED, 70, None)


def test_links_to_support_take_their_place() -> None:
    renderer = Renderer(Sender(address="a@example.com", support_email="help@example.com"))
    assert "mailto:help@example.com" in part(compose(renderer), "html")
    renderer = Renderer(Sender(address="a@example.com", support_url="https://example.com/help"))
    assert "https://example.com/help" in part(compose(renderer), "plain")


def test_times_are_the_accounts_own() -> None:
    for kind in ("plain", "html"):
        assert "5 March 2026, 10:30 (Europe/Berlin, UTC+1)" in part(compose(time_zone="Europe/Berlin"), kind)


def test_how_long_credits_last_is_told_in_the_accounts_own_zone() -> None:
    runways = {"model_credits": datetime(2026, 3, 5, 13, tzinfo=UTC)}
    letter = RENDERER.render_letter([USED, RUNS], account(time_zone="Europe/Berlin"), AT, runways=runways)
    said = "Thursday, 5 March 2026, 14:00 (Europe/Berlin, UTC+1)"
    assert letter.text.count("At the pace of the last 24 hours the rest lasts until ") == 1
    assert f"\n\nAt the pace of the last 24 hours the rest lasts until {said}.\n\n" in letter.text
    assert letter.html.count(f"At the pace of the last 24 hours the rest lasts until <strong>{said}</strong>.") == 1


def test_nothing_is_told_of_a_pace_that_is_not_known_or_of_what_is_used_up() -> None:
    used_up = balance(75 * MICRO, 3, line=90)
    for balances, runways in (([USED], {}), ([used_up], {"model_credits": AT})):
        letter = RENDERER.render_letter(balances, account(), AT, runways=runways)
        assert "pace" not in letter.text + letter.html
