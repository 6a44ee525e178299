"""The dashboards, as data. `make dashboards` writes the JSON files that Grafana loads; a test holds them in step."""

from pathlib import Path
from typing import Final

from deploy.grafana.drawing import Dashboard, Panel, render

HERE: Final = Path(__file__).parent


def rate(series: str, by: str) -> str:
    return f"sum by ({by}) (rate({series}[$__rate_interval]))"


def quantile(of: float, stage: str) -> str:
    buckets = f'metering_latency_seconds_bucket{{stage="{stage}"}}'
    return f"histogram_quantile({of}, sum by (le) (rate({buckets}[$__rate_interval])))"


def latency(stage: str, about: str) -> Panel:
    return Panel(f"Latency: {stage}", about, {quantile(of, stage): f"{of:.0%}" for of in (0.5, 0.99)}, "s", 6)


OPERATORS: Final = Dashboard(
    "credit-meter-operators",
    "Credit metering: operators",
    "Whether events flow, and what holds them up",
    {
        "At a glance": [
            Panel(
                "Ready",
                "0: a service lacks this dependency",
                {"min by (job, dependency) (metering_ready)": "{{job}} {{dependency}}"},
                kind="stat",
            ),
            Panel(
                "Parts that do not go on",
                "/readyz names them",
                {"sum by (job) (metering_faults)": "{{job}}"},
                kind="stat",
            ),
            Panel(
                "What runs",
                "Processes by version",
                {"count by (service, version) (metering_build_info)": "{{service}} {{version}}"},
                kind="stat",
            ),
        ],
        "Flow": [
            Panel(
                "Records by outcome",
                "What became of each record",
                {rate('metering_records_total{job="meter"}', "outcome"): "{{outcome}}"},
                "ops",
            ),
            Panel(
                "Waiting in Kafka",
                "By shard, the worst of all processes",
                {"max by (job, shard) (metering_lag_records)": "{{job}} {{shard}}"},
            ),
            Panel(
                "Oldest in Kafka", "For how long it has waited", {"max by (job) (metering_lag_seconds)": "{{job}}"}, "s"
            ),
            Panel(
                "Not folded",
                "Stored events, by shard",
                {"max by (work, shard) (metering_fold_lag_events)": "{{work}} {{shard}}"},
            ),
            Panel(
                "Oldest not folded",
                "How old balances and usage are",
                {"max by (work) (metering_fold_lag_seconds)": "{{work}}"},
                "s",
            ),
            Panel(
                "Outboxes",
                "Age of the oldest message",
                {"max by (outbox) (metering_outbox_age_seconds)": "{{outbox}}"},
                "s",
            ),
        ],
        "From the event to the letter": [
            latency("stored", "Since the event's own time, by the producer's clock"),
            latency("balance", "Since the event was stored"),
            latency("notice", "Since the event was stored"),
            latency("letter", "Since the letter was owed; a burst is gathered for 3 s"),
        ],
        "Work": [
            Panel(
                "Records of a batch",
                "Mean size",
                {
                    "sum by (work) (rate(metering_batch_records_sum[$__rate_interval])) "
                    "/ sum by (work) (rate(metering_batch_records_count[$__rate_interval]))": "{{work}}",
                },
            ),
            Panel(
                "Time of a step",
                "99 of 100 take less",
                {
                    "histogram_quantile(0.99, sum by (le, step) "
                    "(rate(metering_step_seconds_bucket[$__rate_interval])))": "{{step}}",
                },
                "s",
            ),
            Panel(
                "Without progress",
                "As the watchdog counts it",
                {"max by (job, work) (metering_idle_seconds)": "{{job}} {{work}}"},
                "s",
            ),
            Panel("Published", "By topic", {rate("metering_published_total", "topic"): "{{topic}}"}, "ops"),
            Panel(
                "Rerouted",
                "By source: clients that hash keys in another way",
                {rate("metering_rerouted_total", "source"): "{{source}}"},
                "ops",
            ),
            Panel(
                "Shards",
                "By process; those set aside in all",
                {
                    "metering_shards": "{{instance}}",
                    "max(metering_shards_set_aside)": "set aside",
                },
            ),
        ],
        "Processes": [
            Panel(
                "Connections to Postgres",
                "In use, and the most there may be",
                {
                    'metering_postgres_connections{state="open"} '
                    '- ignoring (state) metering_postgres_connections{state="idle"}': "{{instance}}",
                    "max by (job) (metering_postgres_connections_limit)": "{{job}} limit",
                },
            ),
            Panel(
                "Requests to the console",
                "By what became of them; failed is the console's own fault",
                {rate("metering_requests_total", "outcome"): "{{outcome}}"},
                "ops",
            ),
            Panel("Memory", "Resident", {"process_resident_memory_bytes": "{{instance}}"}, "bytes"),
            Panel("CPU", "Cores", {"rate(process_cpu_seconds_total[$__rate_interval])": "{{instance}}"}),
            Panel(
                "Reconnects",
                "By dependency",
                {
                    "sum by (job, dependency) "
                    "(increase(metering_reconnects_total[$__rate_interval]))": "{{job}} {{dependency}}"
                },
            ),
            Panel(
                "Started",
                "A line per process; a step is a restart",
                {"process_start_time_seconds * 1000": "{{instance}}"},
                "dateTimeFromNow",
            ),
        ],
    },
)

SUPPORT: Final = Dashboard(
    "credit-meter-support",
    "Credit metering: support",
    "Whether people are told, and what producers send that does not count",
    {
        "Notices and letters": [
            Panel(
                "Notices",
                "Thresholds that were crossed, by channel",
                {"sum by (channel) (increase(metering_notices_total[1h]))": "{{channel}}"},
            ),
            Panel(
                "Letters by outcome",
                "In the last hour",
                {"sum by (outcome) (increase(metering_emails_total[1h])) > 0": "{{outcome}}"},
            ),
            Panel(
                "Letters that wait",
                "In all, due now, and being sent",
                {
                    'max(metering_waiting{work="emails"})': "waiting",
                    "max(metering_emails_due)": "due",
                    "sum(metering_emails_claimed)": "being sent",
                },
            ),
            Panel(
                "Overdue",
                "For how long the first letter has been due, and the oldest owed",
                {"max(metering_emails_overdue_seconds)": "due", "max(metering_emails_oldest_seconds)": "owed"},
                "s",
            ),
            latency("letter", "From owed to accepted by the mail server"),
        ],
        "What does not count": [
            Panel(
                "Rejections by reason",
                "In the last hour; `meter rejections list` shows them",
                {"sum by (reason) (increase(metering_rejections_total[1h])) > 0": "{{reason}}"},
            ),
            Panel(
                "Duplicates",
                "Sent again with the same id, and counted once",
                {'increase(metering_records_total{outcome="duplicate"}[1h])': "{{instance}}"},
            ),
            Panel(
                "Waiting reversals",
                "They name usage that is not read yet",
                {'increase(metering_records_total{outcome="waiting"}[1h])': "{{instance}}"},
            ),
            Panel(
                "Left out of events",
                "Fields for information that could not be read",
                {"sum by (field) (increase(metering_fields_ignored_total[1h])) > 0": "{{field}}"},
            ),
            Panel(
                "Accounts that nobody opened",
                "`meter accounts unopened` lists them",
                {"max(metering_unopened_accounts)": "accounts"},
                kind="stat",
            ),
        ],
        "How old balances are": [
            Panel(
                "Usage waits in Kafka",
                "Not in any balance yet",
                {'max(metering_lag_seconds{job="meter"})': "oldest"},
                "s",
            ),
            Panel(
                "Balances",
                "Behind the stored events",
                {'max(metering_fold_lag_seconds{work="balance-fold"})': "oldest"},
                "s",
            ),
            Panel(
                "Usage pages",
                "Behind the stored events",
                {'max(metering_fold_lag_seconds{work="usage-fold"})': "oldest"},
                "s",
            ),
        ],
    },
)

DASHBOARDS: Final = {"operators": OPERATORS, "support": SUPPORT}


def main() -> None:
    for name, dashboard in DASHBOARDS.items():
        (HERE / f"{name}.json").write_text(render(dashboard), encoding="utf-8")


if __name__ == "__main__":
    main()
