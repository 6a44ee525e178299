"""The figures in deploy/OPERATING.md are those of the last complete benchmark, and its settings are the defaults."""

import json
from typing import Any

from meter.runtime.settings import Settings
from notifier.settings import NotifierSettings
from schemas.topics import ACCOUNTS, NOTIFICATIONS, TOPICS, USAGE
from tests.architecture.sources import ROOT

GUIDE = (ROOT / "deploy/OPERATING.md").read_text(encoding="utf-8")
FIGURES: dict[str, Any] = json.loads((ROOT / "tests/bench/results/latest.json").read_text(encoding="utf-8"))
DAY_MS = 86_400_000


def thousands(number: float) -> str:
    return f"{round(number, -3):,.0f}"


def test_the_figures_are_those_of_the_last_run() -> None:
    cpu, memory = FIGURES["cpu_s_per_million"]["end_to_end"], FIGURES["rss_mb"]
    millions = next(run for run in FIGURES["growth_accounts"] if run["accounts"] == 1_000_000)
    [light] = [run for run in FIGURES["latency"] if run["percent"] == 10]
    rows = [
        f"| events into the event store, at most | {thousands(FIGURES['ingest_per_s'])} a second |",
        f"| the same until the balances show them | {thousands(FIGURES['end_to_end_per_s'])} a second |",
        f"| CPU of `meter` | {cpu['meter']:.1f} s for a million events |",
        f"| CPU of `projections` | {cpu['projections']:.1f} s for a million events |",
        f"| CPU of Postgres | {cpu['postgres']:.1f} s for a million events |",
        f"| CPU of Kafka | {cpu['kafka']:.1f} s for a million events |",
        f"at most | {memory['meter']}, {memory['projections']} and {memory['notifier']} MB |",
        f"| memory of `projections` with a million accounts | {millions['rss_mb']['projections']} MB |",
        f"at {round(light['per_s'], -2):,} events a second | {light['delays_ms']['balance']['p99']:.0f} ms |",
        f"at the same rate | {light['delays_ms']['email']['p99']:.0f} ms |",
        f"| ingest with 20 million events stored, beside an empty store | {FIGURES['growth']:.0%} |".replace("%", " %"),
        f"| events that `projections rebuild` reads | {thousands(FIGURES['rebuild_per_s'])} a second |",
        f"| events that `meter verify` checks | {thousands(FIGURES['verify_per_s'])} a second |",
    ]
    assert [row for row in rows if row not in GUIDE] == []


def test_the_settings_that_it_names_have_these_defaults() -> None:
    days = {spec.name: spec.retention_ms // DAY_MS for spec in TOPICS}
    keep_days = NotifierSettings.model_fields["mail_keep_days"].default
    facts = [
        f"`METERING_PARTITIONS` ({Settings.model_fields['partitions'].default})",
        f"`METERING_POSTGRES_POOL_SIZE` ({Settings.model_fields['postgres_pool_size'].default})",
        f"{keep_days:.0f} days (`METERING_MAIL_KEEP_DAYS`)",
        f"| `{USAGE}` | {days[USAGE]} days |",
        f"| `{ACCOUNTS}`, `{NOTIFICATIONS}` | {days[ACCOUNTS]} days |",
    ]
    assert [fact for fact in facts if fact not in GUIDE] == []
    assert days[ACCOUNTS] == days[NOTIFICATIONS]
