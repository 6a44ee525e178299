"""The core is pure (no IO, no clock, no environment), and every driver stays in its place."""

from pathlib import Path

import pytest

from tests.architecture.sources import PACKAGES, ROOT, calls_of, imports_any, modules

# Identifiers are made and files are written there: at the edge by design.
EDGE_OF_SCHEMAS = {Path("schemas/build.py"), Path("schemas/generate.py"), Path("schemas/native/setup.py")}
CONSOLE = (
    *("charts.py", "deployments.py", "dry_run.py", "figures.py", "history.py", "items.py", "limits.py", "openapi.py"),
    *("overview.py", "periods.py", "rows.py", "summary.py", "tables.py", "tabs.py"),
)
CORE = sorted(
    set(modules("schemas")) - EDGE_OF_SCHEMAS
    | {
        Path("meter/allowance.py"),
        Path("meter/content.py"),
        Path("meter/effects.py"),
        Path("meter/plan.py"),
        Path("meter/settle.py"),
    }
    | {Path("meter/store/layout.py"), Path("meter/store/bisect.py"), Path("meter/store/check.py")}
    | {Path("projections/fold.py"), Path("projections/plan.py"), Path("projections/accounts.py")}
    | {Path("projections/piece_sizes.py")}
    | {Path("projections/console") / name for name in CONSOLE}
    | {Path("projections/messages.py"), Path("projections/timeline.py"), Path("projections/told.py")}
    | {Path("notifier/decide.py"), Path("notifier/plan.py"), Path("notifier/render.py"), Path("notifier/ids.py")}
    | {Path("notifier/events.py"), Path("notifier/letters.py"), Path("notifier/model.py"), Path("notifier/records.py")}
    | {Path("notifier/names.py"), Path("notifier/moments.py"), Path("notifier/samples.py"), Path("notifier/owed.py")}
)
IMPURE = {
    *("asyncio", "socket", "ssl", "http", "urllib.request", "subprocess", "threading", "multiprocessing", "tempfile"),
    *(
        "os",
        "time",
        "random",
        "secrets",
        "logging",
        "structlog",
        "asyncpg",
        "aiokafka",
        "aiosmtplib",
        "prometheus_client",
    ),
    *("meter.runtime.clock", "meter.runtime.kafka", "meter.runtime.postgres", "meter.runtime.settings"),
}
IMPURE_CALLS = (
    "open",
    "print",
    "input",
    "now",
    "utcnow",
    "today",
    "uuid1",
    "uuid4",
    "getenv",
    "read_text",
    "write_text",
)
CLOCK = {"time.time", "datetime.now", "datetime.datetime.now", "datetime.utcnow", "date.today", "datetime.date.today"}
PLACES = {
    "aiokafka": ("meter/runtime/kafka/adapter/", "meter/runtime/kafka/failures.py"),
    "asyncpg": ("meter/runtime/postgres/", "meter/store/", "projections/store", "notifier/store/"),
    "aiosmtplib": ("notifier/mail/",),
}
SHIPPED = modules(*PACKAGES)


@pytest.mark.parametrize("file", CORE, ids=str)
def test_the_core_does_no_io_and_reads_no_clock(file: Path) -> None:
    assert (ROOT / file).exists(), "the list of core modules names one that is gone"
    assert imports_any(file, IMPURE) == set()
    assert [name for name, _ in calls_of(file) if name.rpartition(".")[2] in IMPURE_CALLS] == []


@pytest.mark.parametrize("file", [file for file in SHIPPED if "runtime" not in file.parts], ids=str)
def test_only_the_runtime_reads_the_clock_and_the_environment(file: Path) -> None:
    names = {name for name, _ in calls_of(file)}
    allowed = {"time.time"} if file in EDGE_OF_SCHEMAS else set()
    assert names & CLOCK <= allowed
    assert not names & {"os.getenv", "os.environ.get"}


@pytest.mark.parametrize("driver", PLACES)
def test_drivers_stay_in_their_place(driver: str) -> None:
    users = [file.as_posix() for file in SHIPPED if imports_any(file, {driver})]
    assert users, "nobody uses it: the rule is out of date"
    assert [user for user in users if not user.startswith(PLACES[driver])] == []


def test_what_is_shipped_needs_nothing_of_the_local_stack() -> None:
    assert [file for file in SHIPPED if imports_any(file, {"deploy", "tests", "pytest", "aiosmtpd", "psutil"})] == []


# Where a COMMIT may be cancelled, and why nothing is lost by it: work that a person, or the next round, does again.
MAY_CANCEL_COMMIT = {
    Path("meter/runtime/postgres/migrations.py"): "setup is run again",
    Path("meter/setup.py"): "setup is run again",
    Path("meter/distribute.py"): "setup is run again",
    Path("meter/roles.py"): "setup is run again",
    Path("meter/runtime/outbox.py"): "what was published is published once more",
    Path("meter/store/audit.py"): "reads alone",
    Path("meter/store/rechain.py"): "a shard that was sealed is passed over by the next call",
    Path("projections/rebuild.py"): "a rebuild is run again",
    Path("projections/usage_rebuild.py"): "a rebuild is run again",
}


def test_services_wait_for_their_commits() -> None:
    """A COMMIT that is cancelled while it waits for a standby is done on one server alone."""
    found = {
        file
        for file in modules("meter", "projections", "notifier")
        for name, call in calls_of(file)
        if name.rpartition(".")[2] == "transaction"
        and not {word.arg for word in call.keywords} & {"isolation", "readonly"}
    }
    assert found == set(MAY_CANCEL_COMMIT)
