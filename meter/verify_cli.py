"""`meter verify` on the command line: progress on stderr, the report on stdout, exit code 1 on damage."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from meter.presentation import print_table, printable
from meter.runtime.process.cli import run_command
from meter.runtime.process.exits import Exit
from schemas.figures import count_of

if TYPE_CHECKING:
    from meter.runtime.settings import Settings
    from meter.store.damage import Finding
    from meter.verify import Report

COLUMNS = ("shard", "batches", "events", "head", "anchored_batch", "damage")

MAX_BATCH = 10**15
MAX_SHARD = 9_999  # a topic has at most 10,000 partitions here


def verify(
    shard: Annotated[int | None, typer.Option(min=0, max=MAX_SHARD, help="Only this shard.")] = None,
    first_batch: Annotated[
        int,
        typer.Option(
            "--from-batch", min=1, max=MAX_BATCH, help="Only from this batch on; what comes before is taken as good."
        ),
    ] = 1,
    anchors: Annotated[bool, typer.Option(help="Compare with the anchors on Kafka too.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines for programs.")] = False,
) -> None:
    """Check the whole log, and the anchors outside the database.

    Of the log: hash chain, positions, offsets and counts.
    Reads only, and the service may run meanwhile. Names the shard and batch of any damage and what to do.
    Exit code 0 when all is whole, 1 on damage.

    \b
    Examples:
      meter verify
      meter verify --shard 3 --from-batch 120000
      meter verify --no-anchors --json | jq 'select(.kind == "damage")'
    """
    from meter.progress import show_progress
    from meter.runtime.postgres import opened_pool
    from meter.runtime.settings import Settings
    from meter.verify import audit_anchors, choose_shards, verify_store

    async def command(settings: Settings) -> Report:
        async with opened_pool(settings, "credit-meter-verify") as pool:
            started = time.monotonic()
            sizes = await choose_shards(pool, shard)
            audit = audit_anchors(settings, pool, shard=shard, first_batch=first_batch) if anchors else None
            with show_progress("verify", sum(size.events for size in sizes)) as advance:
                report = await verify_store(pool, sizes, audit, first_batch=first_batch, progress=advance)
            show_report(report, time.monotonic() - started, as_json=as_json)
            return report

    if run_command(Settings, command).findings:
        raise typer.Exit(Exit.FAILED)


def show_report(report: Report, seconds: float, *, as_json: bool) -> None:
    if as_json:
        show_json(report, seconds)
        return
    anchored = report.anchored
    rows = [
        (
            done.shard, done.batches, done.events, done.link.hash.hex()[:16],
            "-" if anchored is None else anchored.get(done.shard, 0),
            sum(finding.shard == done.shard for finding in report.findings),
        )
        for done in report.shards
    ]  # fmt: skip
    print_table(COLUMNS, rows, as_json=False)
    for finding in report.findings:
        print(f"DAMAGE in {finding.place}: {finding.damage}: {printable(finding.detail)}")
    for damage in dict.fromkeys(finding.damage for finding in report.findings):
        print(f"What to do about {damage}: {next(f.advice for f in report.findings if f.damage is damage)}")
    if report.former or report.closed:
        print(describe_former(report))
    print(summarize(report, seconds))


def describe_former(report: Report) -> str:
    """What can be said of hashes of before old personal data was sealed, which anchors of then are compared with."""
    closed = (
        f" {report.closed:,} cannot be compared any more, because an account in them was forgotten."
        if report.closed
        else ""
    )
    return (
        f"Before old personal data was sealed: the hashes of {report.former:,} batches follow from the events.{closed}"
    )


def summarize(report: Report, seconds: float) -> str:
    verdict = count_of(len(report.findings), "fault") if report.findings else "whole"
    compared = "anchors not looked at" if report.anchored is None else count_of(report.anchors, "anchor")
    return (
        f"{verdict}: {count_of(len(report.shards), 'shard')}, {count_of(report.batches, 'batch', 'batches')}, "
        f"{count_of(report.events, 'event')}, {compared}, {seconds:.1f} s"
    )


def show_json(report: Report, seconds: float) -> None:
    anchored = report.anchored or {}
    for done in report.shards:
        line = {"kind": "shard", "shard": done.shard, "batches": done.batches, "events": done.events}
        print(json.dumps(line | {"head": done.link.hash.hex(), "anchored_batch": anchored.get(done.shard)}))
    for finding in report.findings:
        print(json.dumps(describe(finding)))
    totals = {"batches": report.batches, "events": report.events, "anchors": report.anchors}
    totals |= {"former_compared": report.former, "former_not_comparable": report.closed}
    print(json.dumps({"kind": "summary", "whole": not report.findings, "seconds": round(seconds, 3), **totals}))


def describe(finding: Finding) -> dict[str, object]:
    return {
        "kind": "damage",
        "shard": finding.shard,
        "batch": finding.batch,
        "damage": finding.damage.value,
        "detail": finding.detail,
        "advice": finding.advice,
    }
