"""Charts as SVG text: pies, stacked bars and the icon. Pure; colours and patterns are classes of the stylesheet.

No style attributes, for the content security policy allows none; every text is escaped.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from markupsafe import Markup, escape

from projections.console.figures import show_amount

WIDTH: Final = 720
HEIGHT: Final = 226
LEFT: Final = 52
BOTTOM: Final = 32
TOP: Final = 10
MOST_LABELS: Final = 8
PIE: Final = 120
FULL: Final = 100


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of a chart: a value for each point."""

    key: str
    name: str
    values: Sequence[Decimal]

    @property
    def total(self) -> Decimal:
        return sum(self.values, Decimal(0))


@dataclass(frozen=True, slots=True)
class Slice:
    key: str
    name: str
    value: Decimal


def icon(left_percent: Decimal, status: str) -> Markup:
    """A clock whose ring is what is left. Its shape differs, too: hands, a dot, "!", a triangle at nothing."""
    if status == "exhausted":
        return Markup(
            '<svg class="icon exhausted" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">'
            '<path class="fill" d="M12 2.5 22.5 21h-21z"/><path class="sign" d="M12 9v6m0 2.2v.6"/></svg>'
        )
    inside = {
        "good": '<path class="sign" d="M12 7.5V12l3 2"/>',
        "moderate": '<path class="sign" d="M12 7.5V12l3 2"/><circle class="fill" cx="12" cy="12" r="1.9"/>',
        "low": '<path class="sign" d="M12 7v6m0 2.6v.6"/>',
    }.get(status, '<path class="sign" d="M8 12h8"/>')
    around = Decimal(2) * Decimal(str(math.pi)) * 9
    shown = around * left_percent / FULL
    return Markup(
        '<svg class="icon {}" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">'
        '<circle class="track" cx="12" cy="12" r="9"/>'
        '<circle class="ring" cx="12" cy="12" r="9" stroke-dasharray="{} {}" transform="rotate(-90 12 12)"/>{}</svg>'
    ).format(status, f"{shown:.2f}", f"{around:.2f}", Markup(inside))  # noqa: S704  # a constant of the table above


def pie(slices: Sequence[Slice], title: str) -> Markup:
    """Parts of a whole, clockwise from the top. Negative parts have no angle: the table beside it has them."""
    shown = [part for part in slices if part.value > 0]
    total = sum((part.value for part in shown), Decimal(0))
    if total <= 0:
        return Markup("")
    paths, start = [], 0.0
    for part in shown:
        share = float(part.value / total)
        label = f"{part.name}: {show_amount(part.value)}"
        paths.append(Markup('<g class="kind-{}"><title>{}</title>{}</g>').format(part.key, label, sector(start, share)))
        start += share
    return Markup('<svg class="pie" viewBox="0 0 {0} {0}" role="img" aria-label="{1}">{2}</svg>').format(
        PIE, title, Markup("").join(paths)
    )


def sector(start: float, share: float) -> Markup:
    middle, radius = PIE / 2, PIE / 2 - 2
    if share > 1 - 1e-9:
        return Markup('<circle cx="{0}" cy="{0}" r="{1}"/>').format(middle, radius)
    (x1, y1), (x2, y2) = (around(middle, radius, turned) for turned in (start, start + share))
    return Markup('<path d="M{0} {0}L{1} {2}A{3} {3} 0 {4} 1 {5} {6}z"/>').format(
        middle, x1, y1, radius, int(share > 1 / 2), x2, y2
    )


def around(middle: float, radius: float, part: float) -> tuple[str, str]:
    """The point of a circle at a part of its round, from the top."""
    angle = 2 * math.pi * part
    return f"{middle + radius * math.sin(angle):.2f}", f"{middle - radius * math.cos(angle):.2f}"


def bars(labels: Sequence[str], series: Sequence[Series], title: str, unit: str) -> Markup:
    """Stacked bars, one per point. Negative values (reversals) are not drawn: the table beside it has them."""
    heights = [sum((max(one.values[n], Decimal(0)) for one in series), Decimal(0)) for n in range(len(labels))]
    most = nice_ceiling(max(heights, default=Decimal(0)))
    if most == 0:
        return Markup("")
    inner = WIDTH - LEFT - 4
    step = inner / len(labels)
    width = max(1.0, step * (0.72 if step > 3 else 0.9))
    columns = "".join(
        column(LEFT + n * step + (step - width) / 2, width, n, label, series, most, unit)
        for n, label in enumerate(labels)
    )
    drawn = Markup(columns)  # noqa: S704  # escaped in `column`
    return Markup('<svg class="bars" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}</svg>').format(
        WIDTH, HEIGHT, title, grid(most, unit), drawn, axis(labels, step)
    )


def column(x: float, width: float, n: int, label: str, series: Sequence[Series], most: Decimal, unit: str) -> str:
    """As plain text, its words escaped: a year has hundreds, and Markup.format takes most of the time of a page."""
    rects, told, base = [], [], float(HEIGHT - BOTTOM)
    for one in series:
        value = one.values[n]
        if value != 0:
            told.append(f"{one.name} {show_amount(value)}")
        if value > 0:
            tall = float(value / most) * (HEIGHT - BOTTOM - TOP)
            base -= tall
            rects.append(
                f'<rect class="kind-{escape(one.key)}" x="{x:.2f}" y="{base:.2f}" width="{width:.2f}" '
                f'height="{tall:.2f}" rx="1.5"/>'
            )
    if not rects:
        return ""
    text = f"{label}: {', '.join(told)} {unit}"
    return f"<g><title>{escape(text)}</title>{''.join(rects)}</g>"


def grid(most: Decimal, unit: str) -> Markup:
    """Lines at nothing, half and all. There is no half of a run."""
    lines = []
    for part in (Decimal(0), Decimal("0.5"), Decimal(1)):
        if unit == "runs" and most * part % 1:
            continue
        y = HEIGHT - BOTTOM - float(part) * (HEIGHT - BOTTOM - TOP)
        lines.append(
            Markup('<path class="grid" d="M{} {}H{}"/><text class="y" x="{}" y="{}">{}</text>').format(
                LEFT, f"{y:.1f}", WIDTH, LEFT - 8, f"{y + (4 if part else 0):.1f}", show_amount(most * part)
            )
        )
    return Markup("").join(lines)


def axis(labels: Sequence[str], step: float) -> Markup:
    every = max(1, math.ceil(len(labels) / MOST_LABELS))
    return Markup("").join(
        Markup('<text class="x{}" x="{}" y="{}">{}</text>').format(
            " odd" if n // every % 2 else "", f"{LEFT + (n + 0.5) * step:.1f}", HEIGHT - 8, label
        )
        for n, label in enumerate(labels)
        if n % every == 0
    )


def nice_ceiling(value: Decimal) -> Decimal:
    """The next number like 1, 2, 4, 5 or 10 of its size, so that half of it is a short number too."""
    if value <= 0:
        return Decimal(0)
    size = Decimal(10) ** value.adjusted()
    return next(step * size for step in map(Decimal, (1, 2, 4, 5, 6, 8, 10)) if step * size >= value)


def share_bar(share: Decimal, ghost: Decimal = Decimal(0)) -> Markup:
    """A bar of 100 parts: what is used, and behind it the ghost of what will be by the end of the day."""
    return Markup(
        '<svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="100" height="6"/><rect class="ghost" width="{}" height="6"/>'
        '<rect class="fill" width="{}" height="6"/></svg>'
    ).format(f"{min(Decimal(100), max(Decimal(0), ghost)):.2f}", f"{min(Decimal(100), max(Decimal(0), share)):.2f}")
