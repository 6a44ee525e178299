"""What Prometheus' operator scrapes."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from tests.support.custom_resources.common import Named, Part


class Relabeling(Part):
    sourceLabels: list[Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]]
    regex: str
    targetLabel: str


class MetricsEndpoint(Part):
    port: str
    relabelings: list[Relabeling]


class MonitorSpec(Part):
    selector: dict[Literal["matchLabels", "matchExpressions"], Any]  # of Kubernetes' own: as the policies have them
    podMetricsEndpoints: list[MetricsEndpoint] = Field(min_length=1)


class PodMonitor(Named):
    apiVersion: Literal["monitoring.coreos.com/v1"]
    kind: Literal["PodMonitor"]
    spec: MonitorSpec
