"""The figures of the guides are those of the last complete benchmark, or follow from the code and its defaults."""

import json
import math
import re
from statistics import median_low
from typing import Any

from meter.roles import READER_LIMITS
from meter.runtime import history_watch
from meter.runtime.kafka.adapter.options import METADATA_AGE_MS
from meter.runtime.lag_watch import HELD_BACK_S
from meter.runtime.looks import MOST_UNOPENED
from meter.runtime.postgres.hosts import HOST_TIMEOUT_S
from meter.runtime.process import progress
from meter.runtime.process.metrics import SOURCES_COUNTED
from meter.runtime.settings import Settings
from meter.runtime.tracing.otlp import MOST_WAITING
from meter.runtime.tracing.port import SPANS_TOGETHER
from meter.settings import MeterSettings
from notifier.mail.verdict import pause_for
from notifier.settings import NotifierSettings
from projections import pace, set_aside
from schemas.topics import ACCOUNTS, NOTIFICATIONS, TOPICS, USAGE
from tests.architecture.sources import ROOT
from tests.bench.demands import services_cpu
from tests.bench.steps import ORDERS

GUIDE = (ROOT / "deploy/OPERATING.md").read_text(encoding="utf-8")
FIGURES: dict[str, Any] = json.loads((ROOT / "tests/bench/results/latest.json").read_text(encoding="utf-8"))
DAY_MS = 86_400_000


def test_it_says_when_and_on_what_they_were_measured() -> None:
    day, commit, cpu = FIGURES["measured_at"][:10], FIGURES["commit"][:8], FIGURES["machine"]["cpu"]
    assert f"on {day} at {commit}, on two cores ({cpu}) of a shared machine" in GUIDE
    assert FIGURES["machine"]["cores"] == 2


def thousands(number: float) -> str:
    return f"{round(number, -3):,.0f}"


def list_medians(figure: str, **points: tuple[int, ...]) -> str:
    """Of the points of `growth_shape`: `142,000, 133,000 and 85,000`."""
    [(key, values)] = points.items()
    found = [point for value in values for point in FIGURES["growth_shape"] if point[key] == value and figure in point]
    *first, last = [thousands(median_low(point[figure])) for point in found]
    return f"{', '.join(first)} and {last}"


def test_the_figures_are_those_of_the_last_run() -> None:
    cpu, memory = FIGURES["cpu_s_per_million"]["end_to_end"], FIGURES["rss_mb"]
    millions = next(run for run in FIGURES["growth_accounts"] if run["accounts"] == 1_000_000)
    cores = FIGURES["calm_cores"]
    steady = next(run["cores"] for run in FIGURES["calm"] if run["per_s"] == 1000)
    [light] = [run for run in FIGURES["latency"] if run["percent"] == 10]
    rows = [
        f"| events into the event store, at most | {thousands(FIGURES['ingest_per_s'])} a second |",
        f"by two processes of the meter | {thousands(FIGURES['ingest_by_two_per_s'])} a second |",
        f"| the same until the balances show them | {thousands(FIGURES['end_to_end_per_s'])} a second |",
        f"| CPU of `meter` | {cpu['meter']:.1f} s for a million events |",
        f"| CPU of `projections` | {cpu['projections']:.1f} s for a million events |",
        f"| CPU of Postgres | {cpu['postgres']:.1f} s for a million events |",
        f"until balances, usage and notices are there | {thousands(FIGURES['all_services_per_s'])} a second |",
        f"what all of them sustain beside those who produce | {thousands(FIGURES['sustained_per_s'])} a second |",
        f"until usage and notices are there | {services_cpu(FIGURES):.1f} s for a million events |",
        f"at 100 and at 1,000 a second | {cores['0']:.2f}, {cores['100']:.2f} and {cores['1000']:.2f} |",
        f"{steady['meter']:.2f} of a core for the meter, {steady['postgres']:.2f} for Postgres",
        f"| CPU of Kafka | {cpu['kafka']:.1f} s for a million events |",
        f"at most | {memory['meter']}, {memory['projections']} and {memory['notifier']} MB |",
        f"with a million accounts | {millions['rss_mb']['meter']} and {millions['rss_mb']['projections']} MB |",
        f"at {round(light['per_s'], -2):,} events a second | {light['delays_ms']['balance']['p99']:.0f} ms |",
        f"at the same rate | {light['delays_ms']['email']['p99']:.0f} ms |",
        f"beside an empty store: of events or balances, the lower one | {FIGURES['growth']:.0%} |".replace("%", " %"),
        f"with 3, 12 and 48 partitions | {list_medians('ingest_per_s', partitions=(3, 12, 48))} a second |",
        f"with 10 and with 1,000 names | {list_medians('usage_per_s', names=(10, 1_000))} a second |",
        f"`projections rebuild` reads, most of the time for usage | {thousands(FIGURES['rebuild_per_s'])} a second |",
        f"`projections rebuild balances` reads | {thousands(FIGURES['rebuild_balances_per_s'])} a second |",
        f"| events that `meter verify` checks | {thousands(FIGURES['verify_per_s'])} a second |",
    ]
    for loaded in (run for run in FIGURES["latency"] if run["percent"] != 10):
        p99 = {name: f"{loaded['delays_ms'][name]['p99']:.0f}" for name in ("balance", "email")}
        share = f"{loaded['percent']} % of what all together sustain"
        rows.append(
            f"at {round(loaded['per_s'], -2):,} events a second, {share} | {p99['balance']} and {p99['email']} ms |"
        )
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


README = (ROOT / "deploy/README.md").read_text(encoding="utf-8")
RUNBOOKS = (ROOT / "deploy/RUNBOOKS.md").read_text(encoding="utf-8")
COMPOSE = (ROOT / "deploy/compose.yaml").read_text(encoding="utf-8")


def default_of(settings: type[Settings], name: str) -> Any:
    return settings.model_fields[name].default


def test_what_is_reckoned_from_measured_figures_is_reckoned_right() -> None:
    """A steady 1,000 events a second, and a hundred million of them."""
    found = re.search(r"about (\d+) bytes of Postgres' disk", GUIDE)
    assert found is not None, "tests/integration/test_meter_size.py measures it"
    size, a_day = int(found[1]), 1_000 * 86_400
    facts = [
        f"a hundred\nmillion events are {size / 10:.0f} GB",
        f"{a_day / 1e6:.0f} million a day, {a_day * size / 1e9:.0f} GB a day",
    ]
    assert [fact for fact in facts if fact not in GUIDE] == []


def test_limits_and_times_of_the_guide_are_those_of_the_code() -> None:
    ahead, behind = default_of(MeterSettings, "max_ahead_s"), default_of(MeterSettings, "max_behind_s")
    grace = re.search(r"^  stop_grace_period: (\d+)s$", COMPOSE, re.MULTILINE)
    assert grace is not None
    connections = default_of(Settings, "postgres_pool_size") + 3  # of projections: the probe, LISTEN on two channels
    facts = [
        f"`METERING_GRACE_S` ({default_of(Settings, 'grace_s'):g} s); the container is given {grace[1]} s",
        f"by source ({SOURCES_COUNTED} by name, the rest as `other`)",
        f"accounts that nobody opened (counted up to {MOST_UNOPENED:,})",
        f"Every {progress.PAUSE_S:g} s in which something was done",
        f"At most {SPANS_TOGETHER} spans of a transaction are recorded",
        f"at most {MOST_WAITING:,} wait for a collector that is away",
        f"Each has {HOST_TIMEOUT_S:g} s of its own to\nanswer",
        f"while nothing comes to be stored, within {history_watch.EVERY_S:g} s",
        f"{ahead / 3600:g} h ahead, {behind / 86_400:g} days behind at most",
        f"its pause ({default_of(NotifierSettings, 'mail_pause_s'):g} s)",
        f"After {HELD_BACK_S:g} s `/readyz` (503)",
        f"`METERING_PARTITIONS` ({default_of(Settings, 'partitions')})",
        f"up to {connections} connections of Postgres and\n  readers {READER_LIMITS.connections} together",
    ]
    assert [fact for fact in facts if fact not in README] == []


def test_limits_and_times_of_the_runbooks_are_those_of_the_code() -> None:
    most = default_of(NotifierSettings, "smtp_connections_max")
    first_s, longest_s = (default_of(NotifierSettings, f"mail_retry_{which}_s") for which in ("first", "max"))
    tries = default_of(NotifierSettings, "mail_attempts")
    in_all_s = sum(pause_for(number, first_s, longest_s, spread=0.5) for number in range(1, tries))  # between tries
    [at_most] = [
        bound.le for bound in NotifierSettings.model_fields["smtp_connections_max"].metadata if hasattr(bound, "le")
    ]
    facts = [
        f"pauses of up to {set_aside.LONGEST_PAUSE_S / 60:g} minutes",
        f"wait for {default_of(Settings, 'kafka_session_ms') / 1000:g} s (`METERING_KAFKA_SESSION_MS`)",
        f"waits for a lock {default_of(Settings, 'postgres_lock_timeout_s'):g} s at a time",
        f"It is learned of within {METADATA_AGE_MS / 1000:g} s",
        f"after {first_s:g} s and then in growing pauses up to {longest_s / 3600:g} h",
        f", for {in_all_s / 3600:.0f} hours on average",
        f"With {most} connections a process sends {most * 60 // 20} letters a minute at 20 s each",
        f", {most * 60 // 5} at 5 s",
        f"`METERING_SMTP_CONNECTIONS_MAX` ({at_most} at most)",
    ]
    assert [fact for fact in facts if fact not in RUNBOOKS] == []


def test_what_the_compiled_part_takes_off_is_what_was_measured() -> None:
    """Three quarters, in each order."""
    steps = FIGURES["steps_us"]
    taken = [1 - sum(steps[f"{order}, compiled"].values()) / sum(steps[order].values()) for order in ORDERS]
    assert [round(share * 4) for share in taken] == [3] * len(ORDERS)
    texts = (
        README,
        (ROOT / "Makefile").read_text(encoding="utf-8"),
        (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
    )
    assert all(re.search(r"three\s+quarters", text) for text in texts)


def test_how_soon_a_killed_service_is_ready_is_what_was_measured() -> None:
    """`python -m tests.containers --record`."""
    record = json.loads((ROOT / "tests/containers/results.json").read_text(encoding="utf-8"))
    ready_s = record["ready_after_kill_s"]
    alone, grouped = (
        [ready_s[name] for name in names] for names in (("projections", "console"), ("meter", "notifier"))
    )
    session_s = default_of(Settings, "kafka_session_ms") / 1000
    assert (
        f"projections and the\nconsole were ready within {math.ceil(max(alone))} s of their start, meter and notifier "
        f"within {math.ceil(max(grouped))} s,"
    ) in README
    assert f"(`METERING_KAFKA_SESSION_MS`, {session_s:g} s)" in README


def test_the_guides_of_usage_say_beyond_which_rate_it_rests_longest() -> None:
    said = f"beyond {1 / pace.USAGE.per_event_s:,.0f} events a second"
    assert pace.USAGE.longest_s == 3
    for guide in ("projections/README.md", "projections/console/README.md"):
        text = (ROOT / guide).read_text(encoding="utf-8")
        assert re.search(rf"{said} every three seconds|three seconds {said}", text), guide
