"""Dashboards and alerts ask for series that there are; every alert has a runbook and a test in which it fires."""

import ast
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.dashboards import DASHBOARDS
from deploy.grafana.drawing import COLUMNS, render
from notifier.mail.mailer import LATE, QUIET
from notifier.mail.verdict import Verdict
from tests.architecture.sources import ROOT
from tests.support.metrics import families, make_all, series_of

PROMETHEUS = ROOT / "deploy/prometheus"
SERIES = {name for family in families(make_all().render().decode()).values() for name in series_of(family)}
FAULTS = "\n## When the world fails\n"  # behind the runbooks of alerts
NAMED = re.compile(r"\b(?:metering|process)_[a-z_]+\b")
LABELS = re.compile(r"\b(?:by|on|ignoring) \(([^)]*)\)|\{([^{}]*)\}")
LEVELS = {"exception": "error"}  # of the methods that are not called as their level
# What the metrics carry, and what Prometheus adds to a target and to a histogram.
KNOWN_LABELS = {
    "job", "instance", "le", "outcome", "reason", "source", "field", "topic", "channel", "dependency", "step", "work",
    "stage", "shard", "outbox", "state", "service", "version", "python",
}  # fmt: skip


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> list[str]:
    panels = [panel for dashboard in DASHBOARDS.values() for row in dashboard.rows.values() for panel in row]
    return [query for panel in panels for query in panel.queries]


def labels_in(expression: str) -> set[str]:
    found = LABELS.findall(expression)
    listed = {name.strip() for names, _ in found for name in names.split(",") if name.strip()}
    matched = {name for _, matchers in found for name in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)}
    return listed | matched


EXPRESSIONS = [*(rule["expr"] for rule in rules()), *queries()]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_is_asked_for_is_exposed(expression: str) -> None:
    named = set(NAMED.findall(expression))
    assert named
    assert named <= SERIES
    assert labels_in(expression) <= KNOWN_LABELS


def test_what_is_not_exposed_would_be_found() -> None:
    assert not set(NAMED.findall("rate(metering_record_total[5m])")) <= SERIES
    assert labels_in('sum by (shart) (metering_lag_records{jop="meter"})') == {"shart", "jop"}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_has_a_runbook_and_a_severity(rule: dict[str, Any]) -> None:
    file, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^## (.+)$", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]


def test_every_runbook_belongs_to_an_alert() -> None:
    of_alerts, _, of_faults = (ROOT / "deploy/RUNBOOKS.md").read_text(encoding="utf-8").partition(FAULTS)
    assert re.findall(r"^## (.+)$", of_alerts, re.MULTILINE) == [rule["alert"] for rule in rules()]
    assert not re.findall(r"^## (.+)$", of_faults, re.MULTILINE)


def test_the_runbook_of_a_fault_says_what_one_sees_what_to_do_and_what_cannot_be_lost() -> None:
    _, _, of_faults = (ROOT / "deploy/RUNBOOKS.md").read_text(encoding="utf-8").partition(FAULTS)
    sections = of_faults.split("\n### ")[1:]
    assert len(sections) == 12
    for section in sections:
        name = section.partition("\n")[0]
        places = [section.find(words) for words in ("**You see** ", "**Do** ", "**Cannot be lost:** ")]
        assert -1 < places[0] < places[1] < places[2], name


def test_every_alert_is_shown_silent_and_firing() -> None:
    tests = yaml.safe_load((PROMETHEUS / "alerts_test.yaml").read_text(encoding="utf-8"))["tests"]
    shown: dict[str, list[bool]] = {case["alertname"]: [] for test in tests for case in test["alert_rule_test"]}
    for test in tests:
        for case in test["alert_rule_test"]:
            shown[case["alertname"]].append(bool(case["exp_alerts"]))
    assert {name: [found[0], found[-1]] for name, found in shown.items()} == {
        rule["alert"]: [False, True] for rule in rules()
    }


@pytest.mark.parametrize(("verb", "file"), [("check", "alerts.yaml"), ("test", "alerts_test.yaml")])
def test_promtool_agrees(verb: str, file: str) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not here: Debian's package `prometheus` has it")
    done = subprocess.run(
        [promtool, verb, "rules", PROMETHEUS / file], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted(DASHBOARDS))
def test_a_dashboard_is_written_anew(name: str) -> None:
    assert (ROOT / f"deploy/grafana/{name}.json").read_text(encoding="utf-8") == render(DASHBOARDS[name]), (
        "make dashboards"
    )


@pytest.mark.parametrize("name", sorted(DASHBOARDS))
def test_no_panel_covers_another(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    panels = json.loads(render(DASHBOARDS[name]))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= COLUMNS
        cells = {(at["x"] + dx, at["y"] + dy) for dx in range(at["w"]) for dy in range(at["h"])}
        assert not cells & taken
        taken |= cells


def test_every_metric_of_ours_is_watched_or_is_the_number_behind_one_that_is() -> None:
    """A metric that nobody looks at is a cost without a use."""
    watched = {name for expression in EXPRESSIONS for name in NAMED.findall(expression)}
    unwatched = {
        family.name
        for family in families(make_all().render().decode()).values()
        if family.name.startswith("metering_") and not series_of(family) & watched
    }
    assert unwatched == set()


def test_dashboards_are_all_that_lies_there() -> None:
    assert {path.stem for path in Path(ROOT / "deploy/grafana").glob("*.json")} == set(DASHBOARDS)


def test_the_guide_names_every_metric() -> None:
    guide = (ROOT / "deploy/README.md").read_text(encoding="utf-8")
    section = guide.split("## Watching it")[1].split("\n## ")[0]
    named = set(re.findall(r"`(metering_[a-z_]+)`", section))
    ours = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in families(make_all().render().decode()).values()
        if family.name.startswith("metering_")
    }
    assert named == ours


def lines_that_ask_for_someone() -> dict[str, set[str]]:
    """Levels of the events that are logged above info, by name."""
    found: dict[str, set[str]] = {f"email_{verdict}": {"warning"} for verdict in {*Verdict, LATE} - {*QUIET}}
    found["smtp_refuses_us"] = {"error"}  # chosen with its level, in notifier/mail/standing.py
    for package in ("meter", "projections", "notifier"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(
                        ast.Attribute(_, "warning" | "error" | "exception" as level), [ast.Constant(str(text)), *_]
                    ):
                        found.setdefault(text.partition(":")[0], set()).add(LEVELS.get(level, level))
    return found


def test_the_guide_says_of_every_line_above_info_who_has_to_act() -> None:
    guide = (ROOT / "deploy/README.md").read_text(encoding="utf-8").split("## Logs\n")[1].split("\n## ")[0]
    told: dict[str, set[str]] = {}
    for events, levels in re.findall(r"^\| (`[^|]*) \| ([a-z, ]+) \|", guide, re.MULTILINE):
        names = re.findall(r"`([a-z_]+)`", events)
        listed = levels.split(", ") if ", " in levels else [levels] * len(names)
        told |= {name: {level} for name, level in zip(names, listed, strict=True)}
    assert told == lines_that_ask_for_someone()
