"""deploy/kubernetes/production, rendered as `kubectl apply -k` does.

Every object is valid, everything is encrypted, each process has the rights of deploy/kafka-acls.txt, and what one file
names another makes.
"""

# ruff: noqa: F811  # a fixture that is imported is named again by the tests that take it

import re
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml
from pydantic import ValidationError

from deploy import strimzi
from deploy.kafka_acls import Right, read_rights
from meter.roles import READER_LIMITS, ROLES
from meter.runtime.environment import FILE_SUFFIX, known_variables
from meter.runtime.kafka.adapter.protocols import TopicInfo
from meter.runtime.kafka.admin import compare
from meter.runtime.settings import Settings
from notifier.settings import STANDARD_PORTS
from schemas.topics import DEFAULT_PARTITIONS, TOPICS, USAGE
from tests.architecture.production import FOLDER, WRITTEN, objects, of_kind  # noqa: F401  # a fixture is an argument below
from tests.architecture.test_kubernetes import KINDS, NEWEST, SERVING
from tests.support.custom_resources import CUSTOM
from tests.support.kubernetes import Found, environment, files_of, pods

OPERATORS = {
    "kafka.strimzi.io", "keda.sh", "postgresql.cnpg.io", "barmancloud.cnpg.io", "external-secrets.io",
    "monitoring.coreos.com",
}  # fmt: skip
POSTGRES = "credit-postgres"
KAFKA_USERS = {"setup", "meter", "projections", "notifier"}
PORTS = {"kafka": 9093, "postgres": 5432, "mail": 587}
# Of a process, beside its pool: the probe, LISTEN on two channels, and the look at the server that takes writes.
BESIDE_THE_POOL = 4
DAY_MS = 86_400_000


CUSTOM_ONES = sorted(name for name, found in WRITTEN.items() if found["apiVersion"].partition("/")[0] in OPERATORS)


def test_every_file_is_part_of_it() -> None:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
    named = {*kustomization["resources"], *(patch["path"] for patch in kustomization["patches"])}
    there = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.yaml")}
    assert there == named - {"../base"} | {"kustomization.yaml"}


@pytest.mark.parametrize("name", CUSTOM_ONES)
def test_a_custom_object_has_the_fields_of_its_kind(name: str) -> None:
    CUSTOM.validate_python(WRITTEN[name])


@pytest.mark.parametrize("name", CUSTOM_ONES)
def test_a_field_that_the_kind_has_not_is_found(name: str) -> None:
    for wrong in (WRITTEN[name] | {"specs": {}}, WRITTEN[name] | {"spec": WRITTEN[name]["spec"] | {"other": 1}}):
        with pytest.raises(ValidationError):
            CUSTOM.validate_python(wrong)


def test_every_rendered_object_is_valid(objects: dict[str, Found]) -> None:
    for found in objects.values():
        if found["apiVersion"].partition("/")[0] in OPERATORS:
            CUSTOM.validate_python(found)
        else:
            kubernetes_validate.validate(found, NEWEST, strict=True)


@pytest.mark.parametrize("name", strimzi.files())
def test_topics_and_users_are_written_anew(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == strimzi.files()[name], "make strimzi"


def test_the_users_have_exactly_the_rights_of_the_list() -> None:
    given = {
        Right(user, operation, acl["resource"]["type"], acl["resource"]["name"])
        for user, spec in of_kind("KafkaUser").items()
        for acl in spec["authorization"]["acls"]
        for operation in acl["operations"]
    }
    assert given == set(read_rights())
    assert all(
        acl["resource"]["patternType"] == "literal"
        for spec in of_kind("KafkaUser").values()
        for acl in spec["authorization"]["acls"]
    )


def test_setup_finds_nothing_to_say_about_the_topics(objects: dict[str, Found]) -> None:
    settings = objects["ConfigMap/credit-meter-settings"]["data"]
    made = of_kind("KafkaTopic")
    for spec in TOPICS:
        topic = made.pop(spec.name)
        info = TopicInfo(spec.name, "id", topic["partitions"], copies=topic["replicas"], config=topic["config"])
        assert compare(spec, info, int(settings["METERING_REPLICATION_FACTOR"])).action == "kept"
    assert not made
    assert settings["METERING_PARTITIONS"] == str(DEFAULT_PARTITIONS)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_nothing_is_talked_to_without_tls(name: str, objects: dict[str, Found]) -> None:
    pod = pods(objects)[name]
    values = environment(objects, pod)
    kind = KINDS[name]
    assert values.keys() <= {known for one in KINDS.values() for known in known_variables(one)}
    read = {
        variable.removeprefix("METERING_").lower(): value
        for variable, value in values.items()
        if variable in known_variables(kind) and not variable.endswith(FILE_SUFFIX)
    }
    secret = {
        variable.removeprefix("METERING_").removesuffix(FILE_SUFFIX).lower(): "x" * 43
        for variable in values
        if variable.endswith(FILE_SUFFIX) and variable in known_variables(kind)
    }
    settings = kind.model_validate(read | secret)
    assert settings.without_tls() == {}
    assert "sslmode=verify-full" in settings.postgres_dsn
    if name in KAFKA_USERS:
        assert settings.kafka_security_protocol == "SSL"


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_file_that_a_setting_names_is_mounted(name: str, objects: dict[str, Found]) -> None:
    pod = pods(objects)[name]
    seen = files_of(pod)
    folders = {path.removesuffix("*") for path in seen if path.endswith("/*")}
    own = {variable: value for variable, value in environment(objects, pod).items()
           if value.startswith("/") and variable in known_variables(KINDS[name])}  # fmt: skip
    if name not in KAFKA_USERS:  # a setting of all pods that this one has no use for
        own.pop("METERING_KAFKA_SSL_CAFILE")
    missing = {value for value in own.values() if value not in seen and value.rpartition("/")[0] + "/" not in folders}
    assert own and not missing


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_pod_sees_secrets_of_its_own_alone(name: str, objects: dict[str, Found]) -> None:
    seen = {
        source for source in files_of(pods(objects)[name]).values() if not source.startswith("credit-meter-secrets/")
    }
    wanted = {f"{POSTGRES}-ca/ca.crt"}  # and not ca.key, which signs certificates
    if name in KAFKA_USERS:
        assert f"credit-{name}" in of_kind("KafkaUser")
        wanted |= {"kafka-cluster-ca-cert/ca.crt", f"credit-{name}/*"}
    assert seen == wanted


@pytest.mark.parametrize("name", SERVING)
def test_passwords_are_of_the_service_alone(name: str, objects: dict[str, Found]) -> None:
    further = {"notifier": {"smtp_password"}, "console": {"console_key"}}.get(name, set())
    seen = {source.partition("/")[2] for source in files_of(pods(objects)[name]).values()
            if source.startswith("credit-meter-secrets/")}  # fmt: skip
    assert seen == {name} | further


def test_the_secrets_that_are_used_are_fetched(objects: dict[str, Found]) -> None:
    fetched = {name: {one["secretKey"] for one in spec["data"]} for name, spec in of_kind("ExternalSecret").items()}
    assert fetched["credit-meter-secrets"] == {"superuser", *ROLES, "console_key", "smtp_password"}
    used = {tuple(source.split("/")) for pod in pods(objects).values() for source in files_of(pod).values()}
    assert {key for name, key in used if name == "credit-meter-secrets" and key != "*"} <= fetched[
        "credit-meter-secrets"
    ]
    cluster, store = of_kind("Cluster")[POSTGRES], of_kind("ObjectStore")[POSTGRES]
    assert cluster["superuserSecret"]["name"] in fetched
    for key in store["configuration"]["s3Credentials"].values():
        assert key["key"] in fetched[key["name"]]
    assert all(spec["target"]["name"] == name for name, spec in of_kind("ExternalSecret").items())


def test_the_services_reach_the_server_that_takes_writes(objects: dict[str, Found]) -> None:
    for name, pod in pods(objects).items():
        parts = urlsplit(environment(objects, pod)["METERING_POSTGRES_DSN"])
        assert parts.hostname == f"{POSTGRES}-rw"
        assert parts.username == ("postgres" if name == "setup" else f"credit_{name}")
        assert parts.path == "/" + of_kind("Cluster")[POSTGRES]["bootstrap"]["initdb"]["database"]


def test_a_commit_is_on_two_servers_and_backups_are_no_older_than_what_kafka_keeps() -> None:
    cluster = of_kind("Cluster")[POSTGRES]
    assert cluster["instances"] >= 3
    synchronous = cluster["postgresql"]["synchronous"]
    assert synchronous["number"] >= 1 and synchronous["dataDurability"] == "required" and synchronous["failoverQuorum"]
    assert "hostnossl all all all reject" in cluster["postgresql"]["pg_hba"]
    [plugin] = cluster["plugins"]
    assert plugin["isWALArchiver"] and plugin["parameters"]["barmanObjectName"] in of_kind("ObjectStore")
    backup = of_kind("ScheduledBackup")[POSTGRES]
    assert backup["cluster"]["name"] == POSTGRES and backup["immediate"]
    [usage] = [spec for spec in TOPICS if spec.name == USAGE]
    days = int(of_kind("ObjectStore")[POSTGRES]["retentionPolicy"].removesuffix("d"))
    assert days * DAY_MS <= usage.retention_ms


def test_postgres_has_connections_for_all_pods(objects: dict[str, Found]) -> None:
    most = {name: spec["maxReplicaCount"] for name, spec in of_kind("ScaledObject").items()}
    console = objects["Deployment/credit-console"]["spec"]
    # While pods are replaced there is one more of each.
    processes = sum(number + 1 for number in most.values()) + console["replicas"] + 1
    pool = Settings.model_fields["postgres_pool_size"].default + BESIDE_THE_POOL
    wanted = processes * pool + READER_LIMITS.connections
    assert wanted < int(of_kind("Cluster")[POSTGRES]["postgresql"]["parameters"]["max_connections"])


def test_egress_is_what_the_pods_need(objects: dict[str, Found]) -> None:
    reached: dict[str, set[int]] = {name: set() for name in pods(objects)}
    for spec in of_kind("NetworkPolicy").values():
        if spec["policyTypes"] == ["Egress"]:
            ports = {port["port"] for rule in spec["egress"] for port in rule["ports"]}
            for name in chosen(spec["podSelector"], reached):
                reached[name] |= ports
    dns_and_postgres = {53, PORTS["postgres"]}
    assert reached.pop("console") == reached.pop("pruner") == dns_and_postgres
    assert reached.pop("notifier") == dns_and_postgres | {PORTS["kafka"], PORTS["mail"]}
    assert all(ports == dns_and_postgres | {PORTS["kafka"]} for ports in reached.values())
    settings = objects["ConfigMap/credit-meter-settings"]["data"]
    mail = settings.get("METERING_SMTP_PORT") or STANDARD_PORTS[settings.get("METERING_SMTP_SECURITY", "auto")]
    assert int(mail) == PORTS["mail"], "where the notifier sends letters to"
    bootstrap = settings["METERING_KAFKA_BOOTSTRAP"]
    assert bootstrap == f"{strimzi.CLUSTER}-kafka-bootstrap:{PORTS['kafka']}"


def chosen(selector: dict[str, Any], names: dict[str, set[int]]) -> list[str]:
    labels = selector.get("matchLabels", {})
    [one] = [labels.get("app.kubernetes.io/name")]
    listed = [value for rule in selector.get("matchExpressions", []) for value in rule["values"]]
    if listed or one:
        wanted = {re.sub("^credit-", "", value) for value in (*listed, *([one] if one else []))}
        return [name for name in names if name in wanted]
    assert labels == {"app.kubernetes.io/part-of": "credit-meter"}
    return list(names)
