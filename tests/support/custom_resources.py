"""The custom resources in deploy/kubernetes/production: exactly the fields that it uses, and their types.

No package carries the schemas of Strimzi, CloudNativePG and External Secrets, and theirs are 10,000 lines. A name that
these models do not have is refused; whoever adds a field to a file looks it up in the operator's reference and adds it
here. Written by the definitions of Strimzi 1.3, CloudNativePG 1.30 and its plug-in for Barman, External Secrets v1 and
KEDA 2.20, against which the rendered files were checked then.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

Duration = Annotated[str, StringConstraints(pattern=r"^\d+[smh]$")]
Days = Annotated[str, StringConstraints(pattern=r"^\d+[dwm]$")]
Size = Annotated[str, StringConstraints(pattern=r"^\d+(Mi|Gi|Ti)$")]
Text = dict[str, str]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Metadata(Part):
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$")]
    labels: Text


class Named(Part):
    metadata: Metadata


# Strimzi.


class TopicSpec(Part):
    partitions: int = Field(ge=1)
    replicas: int = Field(ge=1, le=32_767)
    config: Text


class KafkaTopic(Named):
    apiVersion: Literal["kafka.strimzi.io/v1"]
    kind: Literal["KafkaTopic"]
    spec: TopicSpec


class AclResource(Part):
    type: Literal["topic", "group", "cluster", "transactionalId"]
    name: str
    patternType: Literal["literal", "prefix"]


class Acl(Part):
    resource: AclResource
    operations: list[Literal["Read", "Write", "Create", "Delete", "Alter", "Describe", "DescribeConfigs"]] = Field(
        min_length=1
    )


class Authorization(Part):
    type: Literal["simple"]
    acls: list[Acl]


class Authentication(Part):
    type: Literal["tls", "tls-external", "scram-sha-512"]


class UserSpec(Part):
    authentication: Authentication
    authorization: Authorization


class KafkaUser(Named):
    apiVersion: Literal["kafka.strimzi.io/v1"]
    kind: Literal["KafkaUser"]
    spec: UserSpec


# KEDA.


class Target(Part):
    name: str


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


# CloudNativePG and its plug-in for backups.


class InitDb(Part):
    database: str
    owner: str
    encoding: str
    dataChecksums: bool


class Bootstrap(Part):
    initdb: InitDb


class Catalog(Part):
    apiGroup: Literal["postgresql.cnpg.io"]
    kind: Literal["ImageCatalog", "ClusterImageCatalog"]
    name: str
    major: int


class Synchronous(Part):
    method: Literal["any", "first"]
    number: int = Field(ge=1)
    dataDurability: Literal["required", "preferred"]
    failoverQuorum: bool


class PostgresConfig(Part):
    parameters: Text
    pg_hba: list[str]
    synchronous: Synchronous


class Affinity(Part):
    enablePodAntiAffinity: bool
    podAntiAffinityType: Literal["preferred", "required"]
    topologyKey: str


class Storage(Part):
    size: Size
    resizeInUseVolumes: bool


class Plugin(Part):
    name: str
    isWALArchiver: bool
    parameters: Text


class ClusterSpec(Part):
    instances: int = Field(ge=1)
    imageCatalogRef: Catalog
    primaryUpdateStrategy: Literal["unsupervised", "supervised"]
    primaryUpdateMethod: Literal["switchover", "restart"]
    bootstrap: Bootstrap
    enableSuperuserAccess: bool
    superuserSecret: Target
    postgresql: PostgresConfig
    affinity: Affinity
    topologySpreadConstraints: list[dict[str, Any]]  # of Kubernetes' own: as the pods have them
    resources: dict[Literal["requests", "limits"], dict[Literal["cpu", "memory"], str]]
    storage: Storage
    walStorage: Storage
    plugins: list[Plugin]


class Cluster(Named):
    apiVersion: Literal["postgresql.cnpg.io/v1"]
    kind: Literal["Cluster"]
    spec: ClusterSpec


class PluginRef(Part):
    name: str


class BackupSpec(Part):
    schedule: Annotated[str, StringConstraints(pattern=r"^\S+( \S+){5}$")]  # six fields: seconds come first
    backupOwnerReference: Literal["none", "self", "cluster"]
    cluster: Target
    method: Literal["plugin"]
    pluginConfiguration: PluginRef


class ScheduledBackup(Named):
    apiVersion: Literal["postgresql.cnpg.io/v1"]
    kind: Literal["ScheduledBackup"]
    spec: BackupSpec


class KeyOf(Part):
    name: str
    key: str


class S3Credentials(Part):
    accessKeyId: KeyOf
    secretAccessKey: KeyOf


class Packed(Part):
    compression: Literal["bzip2", "gzip", "lz4", "snappy"]


class StoreConfig(Part):
    destinationPath: Annotated[str, StringConstraints(pattern=r"^s3://[a-z0-9.-]+/")]
    s3Credentials: S3Credentials
    wal: Packed
    data: Packed


class StoreSpec(Part):
    retentionPolicy: Days
    configuration: StoreConfig


class ObjectStore(Named):
    apiVersion: Literal["barmancloud.cnpg.io/v1"]
    kind: Literal["ObjectStore"]
    spec: StoreSpec


# External Secrets.


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


Custom = Annotated[
    KafkaTopic | KafkaUser | ScaledObject | Cluster | ScheduledBackup | ObjectStore | ExternalSecret,
    Field(discriminator="kind"),
]
CUSTOM: TypeAdapter[Any] = TypeAdapter(Custom)
