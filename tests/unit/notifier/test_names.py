"""Names in texts: whole where people wrote them, and nothing in them that looks like something else."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.model import BannerKind
from notifier.names import MAX_MARKS, MAX_NAME_CHARS, clean_line, has_link, shorten, show_name
from tests.support.examples import examples
from tests.unit.notifier.builders import AT, RENDERER, account, balance

PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"  # one word, with a joiner that keeps two letters apart
INDIAN = "\u0915\u094d\u200d\u0937"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
WAVING = "\U0001f44b\U0001f3fd"
HEART = "\u2764\ufe0f\u200d\U0001f525"
FLAG = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
SPELLED_BY_PEOPLE = (
    "Example Account",
    "Zürich Team ✓",
    PERSIAN,
    INDIAN,
    FAMILY,
    WAVING,
    HEART,
    FLAG,
    "J.P. Ex & Sons",
    "v3.14",
)
# Direction, invisible and control characters, and a hidden text of tag characters.
HIDDEN = (
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"
    "\u200b\u2060\ufeff\u00ad\x00\x1b\x7f\U000e0041"
)
USED = balance(60_500_000, 3, line=80)


@pytest.mark.parametrize("name", SPELLED_BY_PEOPLE)
def test_what_people_write_stays_whole(name: str) -> None:
    assert show_name(name, "acc-1") == name
    letter = RENDERER.render_letter([USED], account(display_name=name), AT)
    assert letter.subject.endswith(f": {name}")
    assert name in letter.text


@pytest.mark.parametrize("name", SPELLED_BY_PEOPLE)
@pytest.mark.parametrize("kind", BannerKind)
def test_no_banner_holds_a_name(name: str, kind: BannerKind) -> None:
    """Banners are published on metering.notifications, where everybody who may read it would see the name for long."""
    text = RENDERER.render_banner(kind, USED, 80, account(display_name=name))
    assert name not in text and " acc-1 " in text


@pytest.mark.parametrize(
    "name", [None, "", "  ", "\u3000\u00a0", "\u200b\u2060", "\u3164", "\u2800", "\u200d", "\ufe0f"]
)
def test_what_nobody_can_see_is_no_name(name: str | None) -> None:
    assert show_name(name, "acc-1") == "acc-1"


@pytest.mark.parametrize("char", HIDDEN)
def test_what_nobody_sees_does_not_arrive(char: str) -> None:
    assert show_name(f"Ex{char}ample", "acc-1").replace(" ", "") == "Example"


@pytest.mark.parametrize(
    "name",
    [
        "Claim it at https://example.com/prize", "HTTP://EXAMPLE", "myapp://open", "www.example.com",
        "Example.Com wins",
        "mail someone@example.com", "someone@localhost", "javascript:alert(1)", "mailto:someone", "call tel:5550100",
        "192.0.2.1", "example\u3002com", "example\u2024com", "ex\u0301ample.c\u0301om", "exam\u200dple\u200d.com",
        "exa\u00admple.c\u200bom", "\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45\uff0e\uff43\uff4f\uff4d",
        "\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444", "\u0909\u0926\u093e.\u092d\u093e\u0930\u0924",
    ],
)  # fmt: skip
def test_a_name_with_a_link_gives_way_to_the_account_id(name: str) -> None:
    assert show_name(name, "acc-1") == "acc-1"


@pytest.mark.parametrize(
    "name", ["Ex. Ample", "Example Inc.", "A. B. Example", "No. 1", "3.14", "Ex … ample", "Q: why?", "@example"]
)
def test_dots_alone_make_no_link(name: str) -> None:
    assert show_name(name, "acc-1") == name


def test_a_joiner_stays_only_where_it_joins() -> None:
    assert clean_line("a\u200d\u200db \u200dc\u200d d") == "a\u200db c d"


def test_accents_do_not_pile_up() -> None:
    assert show_name("a" + "\u0301" * 50 + "b", "acc-1") == "a" + "\u0301" * MAX_MARKS + "b"


@pytest.mark.parametrize("name", ["x" * 300, FAMILY * 40, ("e\u0301") * 100, PERSIAN * 30])
def test_a_long_name_is_cut_between_what_belongs_together(name: str) -> None:
    shown = show_name(name, "acc-1")
    assert len(shown) <= MAX_NAME_CHARS and shown.endswith("…")
    assert name.startswith(shown[:-1]) and shown[-2] != "\u200d"
    assert unicodedata.category(name[len(shown) - 1])[0] != "M" and name[len(shown) - 1] != "\u200d"


letters = st.characters(categories=("Lu", "Ll", "Lo"))


@given(st.lists(letters, min_size=2, max_size=20), st.sampled_from("\u200c\u200d"))
def test_joiners_between_letters_survive(found: list[str], joiner: str) -> None:
    name = joiner.join(found)
    assert clean_line(name) == name


hostile = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(HIDDEN + "\u200c\u200d\u3164\u0301./:@\r\n" + FAMILY),
        st.sampled_from("abcwhtps.:/@"),
    ),
    max_size=256,
)


@settings(max_examples=examples(1_000))
@given(hostile)
def test_whatever_a_name_is_the_text_is_one_visible_line_without_links(name: str) -> None:
    shown = show_name(name, "acc-1")
    assert 1 <= len(shown) <= MAX_NAME_CHARS and shown == shown.strip() == " ".join(shown.split())
    hidden = {unicodedata.category(char) for char in shown if char not in "\u200c\u200d"}
    assert not hidden & {"Cc", "Cs", "Zl", "Zp", "Co"}
    assert not has_link(shown)
    assert not set(HIDDEN) & set(shown)
    assert show_name(shown, "acc-1") == shown


@given(hostile)
def test_a_subject_stays_one_header_whatever_the_name_is(name: str) -> None:
    subject = RENDERER.render_letter([USED], account(display_name=name), AT).subject
    assert "://" not in subject and subject.startswith("80 % of model credits used: ")
    assert len(subject) <= 200 and not set("\r\n\x00\u202e\u2066") & set(subject)


@given(st.text(max_size=80), st.integers(2, 60))
def test_what_is_cut_is_never_longer_than_allowed(text: str, limit: int) -> None:
    assert len(shorten(text, limit)) <= max(limit, len(text) if len(text) <= limit else limit)
