"""Every text in a letter is readable, in light and in dark: contrast by WCAG 2.2 of what is written on what."""

import re
from html.parser import HTMLParser
from typing import NamedTuple

import pytest

from notifier.render import Renderer, Sender
from notifier.samples import SAMPLES, Sample
from tests.unit.notifier.builders import AT

LEAST = 4.5
VOID = frozenset({"meta", "br", "img", "hr", "link", "input"})
RENDERER = Renderer(
    Sender(
        address="credits@example.com",
        billing_url="https://example.com/billing",
        support_url="https://example.com/help",
        unsubscribe_url="https://example.com/letters",
    )
)
Colors = dict[str, str]


class Seen(NamedTuple):
    text: str
    color: str
    background: str


class Page(HTMLParser):
    """Text with the colours it is seen in: inline styles, and where `dark` the rules of the dark scheme above them."""

    def __init__(self, html: str, *, dark: bool) -> None:
        super().__init__()
        self.seen: list[Seen] = []
        self._rules = read_dark_rules(html) if dark else {}
        self._open: list[tuple[str, Colors, bool]] = [("", {"color": "#000000", "background": "#ffffff"}, True)]
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in VOID:
            return
        found = {name: value or "" for name, value in attrs}
        own = read_colors(found.get("style", ""))
        for name in found.get("class", "").split():
            own |= self._rules.get(name, {})
        shown = tag not in ("style", "title", "head") and "display:none" not in found.get("style", "")
        _, around, is_shown = self._open[-1]
        self._open.append((tag, around | own, is_shown and shown))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        _, colors, is_shown = self._open[-1]
        if is_shown and data.strip("\u00a0 \n"):
            self.seen.append(Seen(data.strip(), colors["color"], colors["background"]))


def read_colors(style: str) -> Colors:
    pairs = (declaration.split(":", 1) for declaration in style.split(";") if ":" in declaration)
    values = {name.strip(): value.replace("!important", "").strip() for name, value in pairs}
    return {name: values[name] for name in ("color", "background") if name in values}


def read_dark_rules(html: str) -> dict[str, Colors]:
    [dark] = re.findall(r"@media \(prefers-color-scheme: dark\) \{\n(.*?)\n\}\n</style>", html, re.DOTALL)
    return {name: read_colors(body) for name, body in re.findall(r"\.([a-z-]+) \{ (.*?) \}", dark)}


def luminance(color: str) -> float:
    assert re.fullmatch("#[0-9a-f]{6}", color), color
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_every_text_can_be_read(sample: Sample, dark: bool) -> None:
    page = Page(RENDERER.render_letter(sample.balances, sample.account, AT).html, dark=dark)
    assert len(page.seen) > 12 and {seen.text for seen in page.seen} >= {"Manage billing", "Contact support", "Used"}
    assert [seen for seen in page.seen if contrast(seen.color, seen.background) < LEAST] == []


def test_dark_is_dark_and_light_is_light() -> None:
    html = RENDERER.render_letter(SAMPLES[0].balances, SAMPLES[0].account, AT).html
    light, dark = (
        [luminance(seen.background) for seen in Page(html, dark=dark).seen if seen.text != "Manage billing"]
        for dark in (False, True)
    )
    assert min(light) > 0.5 and max(dark) < 0.1


def test_each_class_of_the_dark_scheme_is_used() -> None:
    html = [RENDERER.render_letter(sample.balances, sample.account, AT).html for sample in SAMPLES]
    used = {name for page in html for names in re.findall(r'class="([^"]*)"', page) for name in names.split()}
    assert used == set(read_dark_rules(html[0]))


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
