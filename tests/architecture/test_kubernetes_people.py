"""Pods beside the services on Kubernetes: the nightly `meter prune` of production, and those that people work in.

Each is valid, has no privileges, signs in as whom it should, and reaches what its verbs need.
"""

from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml

from deploy.kafka_acls import read_rights
from meter.runtime.environment import FILE_SUFFIX, known_variables
from meter.runtime.process import verb_roles
from meter.runtime.settings import Settings
from meter.settings import MeterSettings, SetupSettings
from notifier.settings import NotifierSettings
from projections.settings import ProjectionsSettings
from tests.architecture.compose import SERVICES
from tests.architecture.sources import ROOT
from tests.support.kubernetes import Found, by_name, container, files_of, pods, template_of

KUBERNETES = ROOT / "deploy/kubernetes"
NEWEST = "1.36"
ROLES = {"pruner": "credit_pruner", "support": "credit_support", "operator": "postgres"}
SECRETS = {"pruner": "pruner", "support": "support", "operator": "superuser"}
WITH_KAFKA = {"support", "operator"}
# Of the verbs that run in each.
KINDS: dict[str, list[type[Settings]]] = {
    "pruner": [Settings],
    "support": [Settings, MeterSettings, ProjectionsSettings, NotifierSettings],
    "operator": [Settings, SetupSettings, ProjectionsSettings, NotifierSettings],
}


def read(*names: str) -> dict[str, Found]:
    texts = ((KUBERNETES / name).read_text(encoding="utf-8") for name in names)
    return by_name(found for text in texts for found in yaml.safe_load_all(text))


KUSTOMIZATION = yaml.safe_load((KUBERNETES / "people/kustomization.yaml").read_text(encoding="utf-8"))
OBJECTS = read("production/pruner.yaml", *(f"people/{name}" for name in KUSTOMIZATION["resources"]))
SHARED: dict[str, str] = {
    variable: value
    for name in ("base/settings.yaml", "production/settings.yaml")
    for variable, value in read(name)["ConfigMap/credit-meter-settings"]["data"].items()
}
PODS = pods(OBJECTS)


def own(name: str) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container(PODS[name])["env"]}


def labels_of(name: str) -> dict[str, str]:
    template = template_of(OBJECTS.get(f"CronJob/credit-{name}") or OBJECTS[f"Pod/credit-{name}"])
    assert template is not None
    labels: dict[str, str] = template["metadata"]["labels"]
    return labels


def test_every_file_is_part_of_it() -> None:
    there = {path.name for path in (KUBERNETES / "people").iterdir()}
    assert there == {*KUSTOMIZATION["resources"], "kustomization.yaml"}
    assert PODS.keys() == ROLES.keys()


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_every_object_is_what_kubernetes_takes(name: str) -> None:
    kubernetes_validate.validate(OBJECTS[name], NEWEST, strict=True)


@pytest.mark.parametrize("name", sorted(PODS))
def test_a_pod_has_no_privileges(name: str) -> None:
    pod, security = PODS[name], container(PODS[name])["securityContext"]
    assert pod["automountServiceAccountToken"] is False
    assert OBJECTS[f"ServiceAccount/{pod['serviceAccountName']}"]["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    ids = f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    assert ids == SERVICES["support"]["user"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert security["allowPrivilegeEscalation"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert {"memory"} <= container(pod)["resources"]["limits"].keys()
    assert container(pod)["image"] == SERVICES["support"]["image"]


@pytest.mark.parametrize("name", sorted(WITH_KAFKA))
def test_a_pod_that_people_work_in_does_not_stay(name: str) -> None:
    assert PODS[name]["restartPolicy"] == "Never" and PODS[name]["activeDeadlineSeconds"] <= 86_400


def test_evidence_is_pruned_as_the_role_that_may() -> None:
    assert container(PODS["pruner"])["command"][:2] == ["meter", "prune"]
    assert ROLES["pruner"] == verb_roles.ROLES["meter prune"]


@pytest.mark.parametrize("name", sorted(PODS))
def test_each_signs_in_as_itself_and_sees_no_other_secret(name: str) -> None:
    assert urlsplit(own(name)["METERING_POSTGRES_DSN"]).username == ROLES[name]
    wanted = {f"credit-meter-secrets/{SECRETS[name]}", "credit-postgres-ca/ca.crt"}
    if name in WITH_KAFKA:
        assert f"credit-{name}" in {right.user for right in read_rights()}
        wanted |= {f"credit-{name}/*", "kafka-cluster-ca-cert/ca.crt"}
    assert set(files_of(PODS[name]).values()) == wanted
    seen = files_of(PODS[name])
    folders = {path.removesuffix("*") for path in seen if path.endswith("/*")}
    values = SHARED | own(name)
    if name not in WITH_KAFKA:  # a setting of all pods that this one has no use for
        values.pop("METERING_KAFKA_SSL_CAFILE")
    named = {value for value in values.values() if value.startswith("/run/secrets/")}
    assert {value for value in named if value not in seen and value.rpartition("/")[0] + "/" not in folders} == set()


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in sorted(KINDS) for kind in KINDS[name]])
def test_its_verbs_take_the_settings_and_talk_to_nothing_without_tls(name: str, kind: type[Settings]) -> None:
    values = SHARED | own(name)
    known = set(known_variables(kind))
    read = {
        variable.removeprefix("METERING_").removesuffix(FILE_SUFFIX).lower(): (
            "x" * 43 if variable.endswith(FILE_SUFFIX) else value
        )
        for variable, value in values.items()
        if variable in known
    }
    settings = kind.model_validate(read)
    assert settings.without_tls() == {}
    assert "sslmode=verify-full" in settings.postgres_dsn
    assert urlsplit(settings.postgres_dsn).hostname == "credit-postgres-rw"
    if name in WITH_KAFKA:
        assert settings.kafka_security_protocol == "SSL"


@pytest.mark.parametrize("name", sorted(PODS))
def test_the_network_lets_it_through_to_what_its_verbs_need(name: str) -> None:
    reached: set[int] = set()
    for policy in read("production/network.yaml").values():
        if policy["spec"]["policyTypes"] == ["Egress"] and is_chosen(policy["spec"]["podSelector"], labels_of(name)):
            reached |= {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    assert reached == {53, 5432} | ({9093} if name in WITH_KAFKA else set())


def is_chosen(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    listed = all(labels.get(rule["key"]) in rule["values"] for rule in selector.get("matchExpressions", []))
    return listed and selector.get("matchLabels", {}).items() <= labels.items()
