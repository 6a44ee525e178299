"""Texts: what they say, and that nothing in an account can turn them into something else."""

import email
import email.policy
import re
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from uuid import UUID

import pytest

from meter.runtime.errors import SettingsError
from meter.runtime.failures import is_transient
from notifier.decide import BalanceSnapshot
from notifier.model import BannerKind
from notifier.render import Renderer, Sender
from notifier.samples import SAMPLES
from schemas.amounts import MICRO
from tests.unit.notifier.builders import AT, RENDERER, account, balance, percent

EMAIL_ID = UUID("6b0e2f0e-6a53-5b3e-8b3e-0d4c6f3a2b10")
USED = balance(52_500_001, 3, line=70)
RUNS = balance(7_100 * MICRO, 4, allocation=10_000 * MICRO, resource="tool_runs", line=70)


def compose(renderer: Renderer = RENDERER, *balances: BalanceSnapshot, **values: object) -> EmailMessage:
    letter = renderer.render_letter(balances or [USED], account(**values), AT)  # type: ignore[arg-type]
    _, data = letter.address(EMAIL_ID, "owner@example.com")
    parsed = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


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


HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"]
ENCODED = [
    "=?utf-8?q?=0D=0ABcc:_x=40y=2Eexample?=", "=?utf-8?q?x=0D=0A=0D=0AGo_to_http=3A//evil=2Eexample?=",
    "=?UTF-8?B?DQpCY2M6IHhAeS5leGFtcGxl?=", "=?us-ascii?Q?www=2Eexample=2Ecom?= =?utf-8?q?=E2=80=AEabc?=",
    "=\u200b?utf-8?q?=0D=0AX:_y?=", "=?utf-8?q?x?=",
]  # fmt: skip


@pytest.mark.parametrize("name", ENCODED, ids=ascii)
def test_no_name_and_no_address_makes_a_header(name: str) -> None:
    """An encoded word was decoded as the subject was set: line ends in it began another header, or the body."""
    sender = replace(RENDERER._sender, name=name)
    for renderer, address in ((RENDERER, "owner@example.com"), (Renderer(sender), f"{name.split()[0]}@example.com")):
        _, data = renderer.render_letter([USED], account(display_name=name), AT).address(EMAIL_ID, address)
        head = data.split(b"\r\n\r\n")[0].decode("ascii")
        found = [line.partition(":")[0] for line in head.split("\r\n") if not line.startswith((" ", "\t"))]
        assert [one for one in found if one not in ("MIME-Version", "Content-Type", "Reply-To")] == HEADERS
        assert "Subject: 70 % of model credits used: acc-1\r\n" in head
        message = email.message_from_bytes(data, policy=email.policy.default)
        assert not any("\n" in str(value) for value in message.values())


@pytest.mark.parametrize("name", ["x", "x y", "ü", "aü b", "\U0001f469\u200d\U0001f467"], ids=ascii)
def test_a_subject_of_any_length_begins_in_its_own_line(name: str) -> None:
    """Python breaks a header of ASCII behind its name when only the rest fits; a reader then sees a blank first."""
    full = (
        balance(78 * MICRO, 3, line=100),
        balance(7_100 * MICRO, 4, allocation=10_000 * MICRO, resource="tool_runs"),
    )
    for times in range(1, 60):
        message = compose(RENDERER, *full, display_name=(name * times).strip())
        assert str(message["Subject"]).startswith("104 % of")


def test_a_resource_without_a_line_is_shown_and_not_in_the_subject() -> None:
    message = compose(RENDERER, balance(3 * MICRO, 4, resource="tool_runs", allocation=10_000 * MICRO), USED)
    assert message["Subject"] == "70 % of model credits used: Example Account"
    assert "3 of 10,000 tool runs" in part(message, "plain")


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


def test_two_that_are_used_up_stand_in_one_subject() -> None:
    runs = balance(10_001 * MICRO, 4, allocation=10_000 * MICRO, resource="tool_runs", line=90)
    assert compose(RENDERER, balance(80 * MICRO, 3, line=90), runs)["Subject"] == (
        "106 % of model credits and 100 % of tool runs used, model calls and tool calls refused: Example Account"
    )


def test_one_is_singular() -> None:
    runs = balance(9 * MICRO, 3, allocation=10 * MICRO, resource="tool_runs", line=90)
    plain = part(compose(RENDERER, runs), "plain")
    assert "Remaining:  1 tool run" in plain.splitlines() and "9 of 10 tool runs" in plain


def test_headers_are_stable_and_complete() -> None:
    message = compose()
    assert message["Message-ID"] == f"<{EMAIL_ID}@example.com>"
    assert message["Date"] == "Thu, 05 Mar 2026 09:30:00 +0000"
    assert message["To"] == "owner@example.com"
    assert message["From"] == "Credit Meter <credits@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Subject"] == "70 % of model credits used: Example Account"


def test_the_same_notice_gives_the_same_bytes_and_lines_that_mail_servers_take() -> None:
    letters = [RENDERER.render_letter([USED], account(), AT).address(EMAIL_ID, "owner@example.com") for _ in range(2)]
    assert letters[0] == letters[1]
    lines = letters[0][1].split(b"\r\n")
    assert all(len(line) <= 998 and b"\n" not in line and b"\r" not in line for line in lines)
    assert all(byte < 128 for byte in letters[0][1])


@pytest.mark.parametrize("name", ['<b>Bold</b> & "Co"', "<script>alert(1)</script>"])
def test_display_names_are_text_in_html(name: str) -> None:
    html = part(compose(display_name=name), "html")
    assert name not in html and "&lt;" in html
    assert name in part(compose(display_name=name), "plain")


@pytest.mark.parametrize("name", ["Team\r\nBcc: nobody", "Zürich Team ✓", "x" * 256, "{{ 7 * 7 }}"])
def test_a_name_cannot_add_a_header_or_run_a_template(name: str) -> None:
    message = compose(display_name=name)
    assert message["Bcc"] is None
    assert "49" not in str(message["Subject"])
    assert len(str(message["Subject"])) <= 200


def test_a_sender_name_is_quoted() -> None:
    renderer = Renderer(
        Sender(address="credits@example.com", name='Credits, "Inc" \\ Ünique', reply_to="help@example.com")
    )
    message = compose(renderer)
    assert [address.addr_spec for address in message["From"].addresses] == ["credits@example.com"]
    assert message["From"].addresses[0].display_name == 'Credits, "Inc" \\ Ünique'
    assert message["Reply-To"] == "help@example.com"


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


def test_own_templates_take_the_place_of_the_packages(tmp_path: Path) -> None:
    (tmp_path / "email_subject.txt.j2").write_text("{{ account }}:\n{{ consumed | amount }} used")
    renderer = Renderer(Sender(address="a@example.com"), tmp_path)
    renderer.check(AT)
    assert compose(renderer)["Subject"] == "Example Account: 52.5 used"
    assert "Used:" in part(compose(renderer), "plain")


@pytest.mark.parametrize("template", ["{{ nothing }}", "{% if %}", "   ", "{{ 1 / 0 }}"])
def test_a_template_that_cannot_be_used_is_found_at_start(template: str, tmp_path: Path) -> None:
    (tmp_path / "banner_low.txt.j2").write_text(template)
    with pytest.raises(SettingsError, match="template"):
        Renderer(Sender(address="a@example.com"), tmp_path).check(AT)


def test_a_template_that_is_missed_only_for_some_accounts_is_refused_and_not_retried(tmp_path: Path) -> None:
    """Jinja's TemplateNotFound is an OSError, which would count as a fault of the network."""
    (tmp_path / "banner_low.txt.j2").write_text("{% if plan == 'gold' %}{% include 'gold.j2' %}{% endif %}low")
    renderer = Renderer(Sender(address="a@example.com"), tmp_path)
    renderer.check(AT)
    with pytest.raises(SettingsError) as raised:
        renderer.render_banner(BannerKind.LOW, percent(50, 2), 50, account(1, plan="gold"))
    assert not is_transient(raised.value)


def test_times_are_the_accounts_own() -> None:
    for kind in ("plain", "html"):
        assert "5 March 2026, 10:30 (Europe/Berlin, UTC+1)" in part(compose(time_zone="Europe/Berlin"), kind)


def test_a_link_to_get_no_more_letters_names_account_and_contact() -> None:
    url = "https://example.com/letters?account={account}&contact={contact}"
    renderer = Renderer(Sender(address="a@example.com", unsubscribe_url=url))
    letter = renderer.render_letter([USED], account(account_id="team@acc:1"), AT, contact_id=UUID(int=9))
    link = f"https://example.com/letters?account=team%40acc%3A1&contact={UUID(int=9)}"
    _, data = letter.address(EMAIL_ID, "owner@example.com")
    parsed = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    assert parsed["List-Unsubscribe"] == f"<{link}>"
    assert link in part(parsed, "plain") and link.replace("&", "&amp;") in part(parsed, "html")
    assert compose()["List-Unsubscribe"] is None


@pytest.mark.parametrize(("name", "product"), [
    ("Example Account", ""), ("Müller & Söhne", ""), ("会社", ""), ("Example Account", "Läufer"),
])  # fmt: skip
def test_a_header_with_a_link_is_one_that_mail_programs_read(name: str, product: str) -> None:
    """As it is sent: encoded words stand for nothing there (RFC 2369, RFC 2047), but Python's reader decodes them."""
    url = "https://billing.example.com/letters/unsubscribe?account={account}&contact={contact}"
    renderer = Renderer(Sender(address="a@example.com", name=product, unsubscribe_url=url))
    opened = account(account_id="team@acc:1", display_name=name)
    letter = renderer.render_letter([USED], opened, AT, contact_id=EMAIL_ID)
    _, data = letter.address(EMAIL_ID, "owner@example.com")
    link = f"https://billing.example.com/letters/unsubscribe?account=team%40acc%3A1&contact={EMAIL_ID}"
    head = data.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert f"List-Unsubscribe: <{link}>".encode() in head
    assert all(len(word) <= 75 for word in re.findall(rb"=\?\S+\?=", data))


def test_how_long_credits_last_is_told_in_the_accounts_own_zone() -> None:
    runways = {"model_credits": datetime(2026, 3, 5, 13, tzinfo=UTC)}
    letter = RENDERER.render_letter([USED, RUNS], account(time_zone="Europe/Berlin"), AT, runways=runways)
    said = "Thursday, 5 March 2026, 14:00 (Europe/Berlin, UTC+1)"
    assert letter.text.count("At the pace of the last 24 hours empty on ") == 1
    assert f"\n\nAt the pace of the last 24 hours empty on {said}.\n\n" in letter.text
    assert letter.html.count(f"At the pace of the last 24 hours empty on <strong>{said}</strong>.") == 1


def test_nothing_is_told_of_a_pace_that_is_not_known_or_of_what_is_used_up() -> None:
    used_up = balance(75 * MICRO, 3, line=90)
    for balances, runways in (([USED], {}), ([used_up], {"model_credits": AT})):
        letter = RENDERER.render_letter(balances, account(), AT, runways=runways)
        assert "pace" not in letter.text + letter.html
