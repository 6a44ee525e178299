"""Charts: the same for the same figures, without styles that the policy forbids, and with every text escaped."""

import re
import xml.etree.ElementTree as ET
from decimal import Decimal

import pytest

from projections.console.charts import Series, Slice, bars, icon, nice_ceiling, pie, share_bar

EVIL = '"><script>alert(1)</script>'


def parse(svg: str) -> ET.Element:
    assert (
        "style=" not in svg and "<script" not in svg and "on" not in {name[:2] for name in re.findall(r" (\w+)=", svg)}
    )
    return ET.fromstring(svg)


@pytest.mark.parametrize("status", ["good", "moderate", "low", "exhausted", "stale"])
def test_every_status_has_a_shape_of_its_own(status: str) -> None:
    shapes = {one: re.sub(r'class="icon \w+"', "", icon(Decimal(50), one)) for one in
              ("good", "moderate", "low", "exhausted", "stale")}  # fmt: skip
    parse(icon(Decimal(50), status))
    assert [one for one, shape in shapes.items() if shape == shapes[status]] == [status]


@pytest.mark.parametrize(("left", "dash"), [(100, "56.55"), (50, "28.27"), (0, "0.00")])
def test_the_ring_is_what_is_left(left: int, dash: str) -> None:
    assert f'stroke-dasharray="{dash} 56.55"' in icon(Decimal(left), "good")


def test_a_pie_has_a_sector_for_each_part() -> None:
    made = pie(
        [
            Slice("guardrail", EVIL, Decimal(1)),
            Slice("custom_script", "B", Decimal(3)),
            Slice("reversal", "C", Decimal(-1)),
        ],
        EVIL,
    )
    assert len(parse(made).findall("g")) == 2
    assert "A58.0 58.0 0 0 1" in made and "A58.0 58.0 0 1 1" in made, "a quarter, and three"


def test_one_part_is_a_whole_circle_and_none_is_no_pie() -> None:
    assert "<circle" in pie([Slice("guardrail", "A", Decimal(1))], "t")
    assert pie([], "t") == pie([Slice("guardrail", "A", Decimal(0))], "t") == ""


def test_bars_stack_to_the_sum() -> None:
    series = [
        Series("model_inference", EVIL, [Decimal(4), Decimal(0)]),
        Series("guardrail", "B", [Decimal(1), Decimal(0)]),
    ]
    made = parse(bars(["1 Nov", EVIL], series, EVIL, "credits"))
    tall = [float(rect.get("height") or 0) for rect in made.iter("rect")]
    assert len(tall) == 2, "nothing is drawn for nothing"
    assert tall[0] / tall[1] == pytest.approx(4, rel=0.01)
    assert sum(tall) == pytest.approx(220 - 26 - 10, rel=0.01), "5 of 5"


def test_without_usage_there_is_no_chart() -> None:
    assert bars(["1 Nov"], [Series("guardrail", "B", [Decimal(0)])], "t", "credits") == ""
    assert bars([], [], "t", "credits") == ""


@pytest.mark.parametrize(
    ("value", "ceiling"), [("0", "0"), ("0.003", "0.004"), ("7", "8"), ("10", "10"), ("11", "20"), ("99", "100")]
)
def test_the_axis_ends_at_a_round_number(value: str, ceiling: str) -> None:
    assert nice_ceiling(Decimal(value)) == Decimal(ceiling)


@pytest.mark.parametrize(
    ("most", "unit", "lines"),
    [
        ("1", "runs", ["0", "1"]),
        ("5", "runs", ["0", "5"]),
        ("2", "runs", ["0", "1", "2"]),
        ("1", "credits", ["0", "0.5", "1"]),
    ],
)
def test_no_line_of_a_chart_is_half_a_run(most: str, unit: str, lines: list[str]) -> None:
    made = parse(bars(["1 Nov"], [Series("tool_run", "Tool runs", [Decimal(most)])], "t", unit))
    assert [text.text for text in made.iter("text") if text.get("class") == "y"] == lines


def test_a_bar_never_leaves_its_track() -> None:
    assert 'width="100.00"' in share_bar(Decimal(250))
    assert 'width="0.00"' in share_bar(Decimal(-5))
