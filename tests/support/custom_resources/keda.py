"""How many pods KEDA keeps."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from tests.support.custom_resources.common import Named, Part, Target


class Fallback(Part):
    failureThreshold: int
    replicas: int
    behavior: Literal["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"]


class ScalingPolicy(Part):
    type: Literal["Pods", "Percent"]
    value: int = Field(ge=1)
    periodSeconds: int = Field(ge=1, le=1_800)


class ScalingRules(Part):
    stabilizationWindowSeconds: int = Field(ge=0, le=3_600)
    policies: list[ScalingPolicy]


class Behavior(Part):
    scaleUp: ScalingRules
    scaleDown: ScalingRules


class Autoscaler(Part):
    behavior: Behavior


class Advanced(Part):
    horizontalPodAutoscalerConfig: Autoscaler


class PrometheusQuery(Part):
    """Text throughout: KEDA refuses numbers here."""

    serverAddress: Annotated[str, StringConstraints(pattern=r"^https?://[^/]+(:\d+)?$")]
    query: str
    threshold: Annotated[str, StringConstraints(pattern=r"^\d+$")]
    ignoreNullValues: Literal["true", "false"]


class Trigger(Part):
    type: Literal["prometheus"]
    metadata: PrometheusQuery


class ScaledSpec(Part):
    scaleTargetRef: Target
    minReplicaCount: int = Field(ge=0)
    maxReplicaCount: int = Field(ge=1)
    pollingInterval: int = Field(ge=1)
    fallback: Fallback
    advanced: Advanced
    triggers: list[Trigger] = Field(min_length=1)


class ScaledObject(Named):
    apiVersion: Literal["keda.sh/v1alpha1"]
    kind: Literal["ScaledObject"]
    spec: ScaledSpec
