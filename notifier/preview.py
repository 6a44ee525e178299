"""What `notifier preview` writes: each text in each state, as mail programs and front ends show it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from notifier.decide import BalanceSnapshot
from notifier.kinds import choose_kind
from notifier.model import AccountSnapshot
from notifier.render import Renderer
from notifier.samples import SAMPLES, Sample
from schemas.figures import UNITS

CONTACT: Final = UUID(int=1)  # stands for the sample contact in links
INDEX: Final = "index.html"
BANNERS: Final = "banners.html"

PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --page: #f2f4f7; --text: #1d2433; --muted: #5b6579; --link: #2347c5;
  --red: #fdecea; --red-text: #8c1d18; --amber: #fff4e0; --amber-text: #6b3b00; }}
@media (prefers-color-scheme: dark) {{ :root {{ --page: #10141c; --text: #eef1f6; --muted: #b4bdcc; --link: #b5c4ff;
  --red: #4a1c19; --red-text: #ffdad6; --amber: #42300d; --amber-text: #ffddb0; }} }}
body {{ max-width: 760px; margin: 0 auto; padding: 24px 12px; background: var(--page); color: var(--text);
  font: 15px/23px -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; overflow-wrap: anywhere; }}
h1 {{ margin: 0 0 16px; font-size: 22px; line-height: 29px; }}
h2 {{ margin: 24px 0 8px; font-size: 14px; line-height: 20px; font-weight: 600; color: var(--muted); }}
a {{ color: var(--link); }}
.banner {{ display: flex; gap: 12px; align-items: flex-start; padding: 12px 16px; border-radius: 8px;
  background: var(--amber); color: var(--amber-text); }}
.banner.fixed {{ background: var(--red); color: var(--red-text); }}
.banner p {{ flex: 1; margin: 0; }}
.close {{ border: 0; background: none; color: inherit; font: inherit; font-size: 18px; cursor: pointer; }}
li {{ margin: 6px 0; }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""
BANNER: Final = '<div class="banner{fixed}" role="status"><p>{text}</p>{close}</div>'
CLOSE: Final = '<button class="close" type="button" aria-label="Close this banner">×</button>'


class Written(NamedTuple):
    path: Path
    says: str
    kind: str  # index, banners, letter, letter_text, banner
    sample: str | None  # the state that it is of


class File(NamedTuple):
    """What is to be written; `says`, `kind` and `sample` as in Written."""

    name: str
    text: str
    says: str
    kind: str
    sample: str | None


class BannerSample(NamedTuple):
    name: str
    says: str
    text: str
    removable: bool


def write_preview(renderer: Renderer, directory: Path, at: datetime) -> list[Written]:
    """Everything that is sent or shown, and a page that leads to all of it."""
    renderer.check(at)
    directory.mkdir(parents=True, exist_ok=True)
    banners = [banner for sample in SAMPLES for banner in make_banners(renderer, sample)]
    written = [write(directory, *file) for file in list_files(renderer, banners, at)]
    index = PAGE.format(title="Letters and banners", body=list_links(written))
    return [write(directory, INDEX, index, "leads to all of them", "index", None), *written]


def list_files(renderer: Renderer, banners: Sequence[BannerSample], at: datetime) -> Iterator[File]:
    page = PAGE.format(title="Banners", body=lay_out(banners))
    yield File(BANNERS, page, "every banner, as a front end shows it", "banners", None)
    for sample in SAMPLES:
        letter = renderer.render_letter(sample.balances, sample.account, at, contact_id=CONTACT, runways=sample.runways)
        yield File(f"{sample.name}.html", letter.html, f"letter: {sample.says}", "letter", sample.name)
        plain = f"Subject: {letter.subject}\n\n{letter.text}"
        yield File(f"{sample.name}.txt", plain, "the same letter as plain text", "letter_text", sample.name)
    for banner in banners:
        yield File(f"banner_{banner.name}.txt", f"{banner.text}\n", f"banner: {banner.says}", "banner", banner.name)


def make_banners(renderer: Renderer, sample: Sample) -> Iterator[BannerSample]:
    """One for each balance that has reached a line."""
    reached = [balance for balance in sample.balances if balance.line]
    for balance in reached:
        alone, unit = len(reached) == 1, UNITS[balance.resource][1]
        name = sample.name if alone else f"{sample.name}_{balance.resource}"
        says = sample.says if alone else f"{sample.says}; of its {unit}"
        yield make_banner(renderer, name, says, balance, sample.account)


def make_banner(
    renderer: Renderer, name: str, says: str, balance: BalanceSnapshot, account: AccountSnapshot
) -> BannerSample:
    text = renderer.render_banner(choose_kind(balance), balance, balance.line, account)
    return BannerSample(name, says, text, removable=not balance.is_exhausted)


def lay_out(banners: Sequence[BannerSample]) -> str:
    return "\n".join(
        f"<h2>{escape(banner.says)}</h2>\n"
        + BANNER.format(
            fixed="" if banner.removable else " fixed",
            text=escape(banner.text),
            close=CLOSE if banner.removable else "",
        )
        for banner in banners
    )


def list_links(written: Sequence[Written]) -> str:
    links = (f'<li><a href="{escape(w.path.name)}">{escape(w.path.name)}</a>: {escape(w.says)}</li>' for w in written)
    return f"<ul>\n{chr(10).join(links)}\n</ul>"


def write(directory: Path, name: str, text: str, says: str, kind: str, sample: str | None) -> Written:
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return Written(path, says, kind, sample)
