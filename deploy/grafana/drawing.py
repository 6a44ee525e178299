"""Draws a dashboard as the JSON that Grafana loads: rows below one another, their panels side by side."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

COLUMNS: Final = 24
SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
SOURCE_CHOICE: Final = {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
# The newest version of Grafana's dashboard schema that versions 10 to 12 read without migrating it.
SCHEMA_VERSION: Final = 39
HEIGHTS: Final = {"row": 1, "stat": 5, "timeseries": 8}


class Panel(NamedTuple):
    """`queries`: expression → legend. `unit` is Grafana's name of it."""

    title: str
    about: str
    queries: dict[str, str]
    unit: str = "short"
    width: int = 8
    kind: str = "timeseries"


class Dashboard(NamedTuple):
    uid: str
    title: str
    about: str
    rows: dict[str, Sequence[Panel]]


def render(dashboard: Dashboard) -> str:
    made = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": ["credit-meter"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [SOURCE_CHOICE]},
        "panels": list(place(dashboard)),
    }
    return json.dumps(made, indent=2) + "\n"


def place(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    """Rows below one another, their panels side by side as far as they fit."""
    number, y = 0, 0
    for title, panels in dashboard.rows.items():
        number += 1
        yield {"id": number, "type": "row", "title": title, "gridPos": grid(0, y, COLUMNS, HEIGHTS["row"])}
        x, y, height = 0, y + HEIGHTS["row"], 0
        for panel in panels:
            if x + panel.width > COLUMNS:
                x, y, height = 0, y + height, 0
            number += 1
            height = max(height, HEIGHTS[panel.kind])
            yield draw(panel, number, grid(x, y, panel.width, HEIGHTS[panel.kind]))
            x += panel.width
        y += height


def grid(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def draw(panel: Panel, number: int, where: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "gridPos": where,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {},
        "targets": [
            {"refId": chr(ord("A") + index), "expr": query, "legendFormat": legend, "datasource": SOURCE}
            for index, (query, legend) in enumerate(panel.queries.items())
        ],
    }
