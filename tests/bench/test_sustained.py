"""The sustained rate is of everything, notices too, and the load beside open pages is a tenth of it."""

from tests.bench.databases import WholeProgress
from tests.bench.demands import measured
from tests.bench.latency import Delays, Load
from tests.bench.plan import Plan
from tests.bench.results import Figures, note_live
from tests.bench.throughput import see


def test_a_notice_that_is_missing_is_waited_for() -> None:
    whole = WholeProgress(taken=9, stored=8, folded=8, used=7, notices=3)
    assert see(whole, 3) == (9, 1)
    assert see(whole, 5) == (9, 3)


def test_the_load_of_pages_is_a_tenth_of_the_sustained_rate_where_one_is_known() -> None:
    plan = Plan()
    assert plan.page_load({"sustained_per_s": 24_000}) == (10, 2_400)
    assert plan.page_load({}) == (0, plan.page_load_per_s)


def test_another_load_does_not_stand_for_a_tenth() -> None:
    for percent, shown in ((10, [("event to page at 10 % load, p99 ms", 7)]), (0, [])):
        figures: Figures = {}
        note_live(figures, Delays(5, 7, 9), Load(percent, 3_600, 30))
        assert [(demand.text, figure) for demand, figure in measured(figures)] == shown
