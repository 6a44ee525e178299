"""`make bench`: measure, print tables, write the figures as JSON."""

import asyncio
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.local import apache_kafka, postgres
from tests.bench.databases import Databases
from tests.bench.machine import ROOT, describe_machine, read_commit, read_services
from tests.bench.plan import SECTIONS, Plan, make_plan
from tests.bench.report import print_figures
from tests.bench.results import LATEST, Figures, combine_figures, note_steps, read_figures, write_figures
from tests.bench.scenario import Bench
from tests.bench.servers import REPORTED, run_servers
from tests.bench.session import Session
from tests.bench.steps import measure_steps

PARTIAL = ROOT / ".local" / "bench.json"


app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def main(
    quick: Annotated[bool, typer.Option(help="Small sizes, to show that it works: no figures to keep.")] = False,
    only: Annotated[str, typer.Option(help=f"Sections, separated by commas: {', '.join(SECTIONS)}.")] = "",
    events: Annotated[int | None, typer.Option(min=1000, help="Records of the backlog.")] = None,
    runs: Annotated[int | None, typer.Option(min=1, help="Runs of each measurement; the median counts.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where the JSON goes; a complete run: latest.json.")] = None,
    add: Annotated[
        bool,
        typer.Option("--add", help="Beside what the file has of other sections, of these services and this machine."),
    ] = False,
) -> None:
    """Measure rates, latencies and limits on Apache Kafka and Postgres started for it.

    \b
    Example:
      python -m tests.bench --only ingest,limit --events 300000
      python -m tests.bench --only rebuild,pages --add --output tests/bench/results/latest.json
    """
    try:
        plan = make_plan(quick, only, events, runs)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    for reason in (apache_kafka.missing(), postgres.missing()):
        if reason is not None:
            print(f"the benchmark cannot run: {reason}", file=sys.stderr)
            raise typer.Exit(3)
    console = Console()
    path = output or (LATEST if plan.complete else PARTIAL)
    figures = begin_figures()
    try:
        before = read_figures(path) if add else {}
        combine_figures(before, figures | {"sections": dict.fromkeys(plan.measured)})  # refused now, not after an hour
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None

    def keep(sections: Sequence[str]) -> None:
        figures["sections"] |= dict.fromkeys(sections, now())
        write_figures(combine_figures(before, figures), path)

    try:
        asyncio.run(measure(plan, console, figures, keep, before))
    finally:
        print_figures(console, figures)
        console.print(f"figures: {path}")


def begin_figures() -> Figures:
    return {
        "commit": read_commit(),
        "services": read_services(),
        "measured_at": now(),
        "machine": describe_machine(),
        "sections": {},
    }


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


async def measure(
    plan: Plan, console: Console, figures: Figures, keep: Callable[[Sequence[str]], None], before: Figures
) -> None:
    if plan.wants("steps"):
        with console.status("the steps of the meter"):
            note_steps(figures, measure_steps(plan.steps_records, plan.steps_rounds))
        keep(["steps"])
    if plan.sections == ("steps",):
        return  # it needs no servers
    with tempfile.TemporaryDirectory(prefix="credit-meter-bench-") as logs, run_servers() as servers:
        databases = Databases(servers.postgres.dsn())
        figures["postgres"] = await databases.read_settings(REPORTED)
        figures["kafka"] = servers.kafka_settings()
        figures["sizes"] = {"events": plan.events, "accounts": plan.accounts, "runs": plan.runs}
        await Session(Bench(servers, databases, Path(logs)), plan, console, figures, keep, before).run()


if __name__ == "__main__":
    app()
