"""What External Secrets fetches."""

from typing import Literal

from pydantic import Field

from tests.support.custom_resources.common import Duration, Named, Part, Text


class StoreRef(Part):
    kind: Literal["SecretStore", "ClusterSecretStore"]
    name: str


class TemplateMetadata(Part):
    labels: Text


class Template(Part):
    type: str
    metadata: TemplateMetadata
    data: Text


class SecretTarget(Part):
    name: str
    creationPolicy: Literal["Owner", "Orphan", "Merge", "None"]
    deletionPolicy: Literal["Delete", "Merge", "Retain"]
    template: Template | None = None


class RemoteRef(Part):
    key: str
    property: str


class SecretData(Part):
    secretKey: str
    remoteRef: RemoteRef


class SecretSpec(Part):
    refreshInterval: Duration
    secretStoreRef: StoreRef
    target: SecretTarget
    data: list[SecretData] = Field(min_length=1)


class ExternalSecret(Named):
    apiVersion: Literal["external-secrets.io/v1"]
    kind: Literal["ExternalSecret"]
    spec: SecretSpec
