"""A Postgres of CloudNativePG, and its backups by the plug-in for Barman."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from tests.support.custom_resources.common import Days, Named, Part, Size, Target, Text


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
    immediate: bool
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
