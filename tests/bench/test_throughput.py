"""What a run of its own kind changes reaches the services, and its rate stands in the report."""

from rich.console import Console

from deploy.local.services import environment
from meter.settings import MeterSettings
from tests.bench.report import rates
from tests.bench.results import Figures, note_rates
from tests.bench.throughput import IN_PYTHON


def test_ingest_in_python_is_without_the_compiled_part() -> None:
    [(name, value)] = IN_PYTHON.items()
    assert environment(IN_PYTHON)["METERING_COMPILED"] == value
    assert MeterSettings.model_fields[name].default is True


def test_each_kind_of_ingest_has_a_row() -> None:
    figures: Figures = {}
    for name in KINDS:
        note_rates(figures, f"{name}_per_s", [123_456])
    console = Console(record=True, width=100)
    console.print(rates(figures))
    shown = console.export_text()
    assert [name for name in KINDS if name.replace("_", " ") not in shown] == []


KINDS = ("ingest", "ingest_by_two", "ingest_in_python", "ingest_other_order")
