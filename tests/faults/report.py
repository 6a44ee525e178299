"""What a campaign came to: the summary line, the details for people, and the same as JSON."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from tests.faults.campaign import Campaign
from tests.faults.oracle.findings import COUNTERS, Findings
from tests.faults.watermark import Watermarks, percentile


def summary(campaign: Campaign, findings: Findings, seed: int) -> str:
    """One line; every zero in it must be one."""
    tormentor, counts = campaign.tormentor, findings.counts
    figures = {
        "faults": tormentor.faults,
        "kills": tormentor.kills,
        "events": campaign.load.sent,
        **{name: counts[name] for name in COUNTERS},
        "emails_ambiguous": findings.emails_ambiguous,
        "recovery_p99_s": f"{percentile(campaign.watermarks.recoveries_s, 0.99):.1f}",
        "seed": seed,
    }
    return " ".join(f"{name}={value}" for name, value in figures.items())


def details(campaign: Campaign, findings: Findings) -> Iterator[str]:
    yield from by_fault(campaign.tormentor.hits, campaign.watermarks)
    yield "ends of processes: " + ", ".join(
        f"{end} {count}" for end, count in sorted(campaign.supervisor.exits.items())
    )
    recoveries = campaign.watermarks.recoveries_s
    yield (
        f"recovery: median {percentile(recoveries, 0.5):.1f} s, p90 {percentile(recoveries, 0.9):.1f} s, "
        f"longest {max(recoveries, default=0):.1f} s; drained {campaign.drained_in_s:.1f} s after the last fault"
    )
    starts = campaign.supervisor.starts_s
    yield (
        f"processes: {campaign.supervisor.starts} started, {len(starts)} of them lived until they began to connect, "
        f"after {percentile(starts, 0.5):.1f} s (median), {percentile(starts, 0.99):.1f} s (p99)"
    )
    yield "slowest: " + "; ".join(campaign.watermarks.slowest())
    yield "checked: " + ", ".join(f"{count:,} {what}" for what, count in findings.figures.items())
    for crash in campaign.supervisor.crashes:
        yield f"crashed by itself: {crash.service}, code {crash.code}\n{crash.tail}"
    yield from findings.lines()


def by_fault(hits: Counter[str], watermarks: Watermarks) -> Iterator[str]:
    """How often each kind struck, how often its target had work then, and how long recovering took."""
    yield f"{'fault':<18} {'struck':>7} {'mattered':>9} {'p50 s':>7} {'p99 s':>7}"
    for kind, struck in hits.most_common():
        recoveries = watermarks.recoveries_of(kind)
        half, most = percentile(recoveries, 0.5), percentile(recoveries, 0.99)
        yield f"{kind:<18} {struck:>7,} {watermarks.mattered[kind]:>9,} {half:>7.1f} {most:>7.1f}"


def progress(campaign: Campaign, goal: Any, elapsed_s: float) -> str:
    tormentor, watermarks = campaign.tormentor, campaign.watermarks
    return (
        f"{int(elapsed_s) // 60:02d}:{int(elapsed_s) % 60:02d}  faults {tormentor.faults:,}/{goal.faults:,}  "
        f"kills {tormentor.kills:,}/{goal.kills:,}  events {campaign.load.sent:,}/{goal.events:,}  "
        f"lag {watermarks.lag():,}  emails waiting {watermarks.waiting_emails:,}  open faults {watermarks.open}  "
        f"recovery p99 {percentile(watermarks.recoveries_s, 0.99):.1f} s"
    )


def as_json(campaign: Campaign, findings: Findings, seed: int) -> str:
    recoveries = campaign.watermarks.recoveries_s
    result = {
        "seed": seed,
        "events": campaign.load.sent,
        "faults": dict(campaign.tormentor.hits),
        "mattered": dict(campaign.watermarks.mattered),
        "kills": campaign.tormentor.kills,
        "counts": {name: findings.counts[name] for name in COUNTERS},
        "emails_ambiguous": findings.emails_ambiguous,
        "recovery_s": {str(share): round(percentile(recoveries, share), 2) for share in (0.5, 0.9, 0.99, 1.0)},
        "start_s": {
            str(share): round(percentile(campaign.supervisor.starts_s, share), 2) for share in (0.5, 0.9, 0.99, 1.0)
        },
        "recovery_by_fault_s": {
            kind: {
                str(share): round(percentile(campaign.watermarks.recoveries_of(kind), share), 2)
                for share in (0.5, 0.99)
            }
            for kind in campaign.tormentor.hits
        },
        "checked": findings.figures,
        "findings": [asdict(finding) for finding in findings.listed],
        "crashes": [asdict(crash) for crash in campaign.supervisor.crashes],
        "ends": dict(campaign.supervisor.exits),
        "log": [{"at": round(at, 2), "fault": words} for at, words in campaign.tormentor.log],
    }
    return json.dumps(result, indent=2) + "\n"
