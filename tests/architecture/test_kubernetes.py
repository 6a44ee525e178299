"""deploy/kubernetes/base: every object is valid, and keeps the rules of the compose stack."""

from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml

from meter.roles import ROLES
from meter.runtime.environment import FILE_SUFFIX, known_variables
from meter.runtime.settings import Settings
from meter.settings import MeterSettings, SetupSettings
from notifier.settings import NotifierSettings
from projections.console.settings import ConsoleSettings
from projections.settings import ProjectionsSettings
from tests.architecture.compose import COMPOSE, SERVICES
from tests.architecture.sources import ROOT
from tests.support.kubernetes import by_name, pods
from tests.support.kubernetes import container as container_of
from tests.support.kubernetes import environment as environment_of

FOLDER = ROOT / "deploy/kubernetes/base"
NEWEST = "1.36"
KINDS: dict[str, type[Settings]] = {
    "meter": MeterSettings,
    "projections": ProjectionsSettings,
    "notifier": NotifierSettings,
    "console": ConsoleSettings,
    "setup": SetupSettings,
}
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
OBJECTS: list[dict[str, Any]] = [
    found for name in KUSTOMIZATION["resources"] for found in yaml.safe_load_all((FOLDER / name).read_text("utf-8"))
]


BY_NAME = by_name(OBJECTS)
PODS = pods(BY_NAME)
SERVING = sorted(PODS.keys() - {"setup"})


def container(name: str) -> dict[str, Any]:
    return container_of(PODS[name])


def environment(name: str) -> dict[str, str]:
    return environment_of(BY_NAME, PODS[name])


def test_every_file_is_part_of_it_and_no_name_comes_twice() -> None:
    assert {path.name for path in FOLDER.glob("*.yaml")} == {*KUSTOMIZATION["resources"], "kustomization.yaml"}
    assert len(BY_NAME) == len(OBJECTS)
    assert PODS.keys() == KINDS.keys()


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_object_is_what_kubernetes_takes(name: str) -> None:
    kubernetes_validate.validate(BY_NAME[name], NEWEST, strict=True)


def test_a_wrong_field_is_found() -> None:
    wrong = BY_NAME["Deployment/credit-meter"] | {"specs": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, NEWEST, strict=True)


@pytest.mark.parametrize("name", sorted(PODS))
def test_a_pod_has_no_privileges(name: str) -> None:
    pod, security = PODS[name], container(name)["securityContext"]
    assert pod["automountServiceAccountToken"] is False
    assert BY_NAME[f"ServiceAccount/{pod['serviceAccountName']}"]["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    ids = f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    assert ids == SERVICES[name]["user"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert security["allowPrivilegeEscalation"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("name", sorted(PODS))
def test_a_pod_runs_what_the_compose_stack_runs(name: str) -> None:
    assert container(name)["image"] == SERVICES[name]["image"]
    assert container(name)["command"] == SERVICES[name]["command"]
    assert {"memory"} <= container(name)["resources"]["limits"].keys()
    assert {"cpu", "memory"} <= container(name)["resources"]["requests"].keys()


@pytest.mark.parametrize("name", sorted(KINDS))
def test_the_environment_is_what_the_service_reads(name: str) -> None:
    every = {variable for kind in KINDS.values() for variable in known_variables(kind)}
    assert environment(name).keys() <= every
    assert {entry["name"] for entry in container(name)["env"]} <= set(known_variables(KINDS[name]))
    role = "postgres" if name == "setup" else f"credit_{name}"
    assert urlsplit(environment(name)["METERING_POSTGRES_DSN"]).username == role


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_service_sees_its_own_secrets_alone(name: str) -> None:
    [volume] = [volume["secret"] for volume in PODS[name]["volumes"] if "secret" in volume]
    keys = {item["key"] for item in volume.get("items", [])} or set(COMPOSE["secrets"])
    [mount] = [m["mountPath"] for m in container(name)["volumeMounts"] if m["name"] == "secrets"]
    named = {value for variable, value in environment(name).items() if variable.endswith(FILE_SUFFIX)}
    assert named <= {f"{mount}/{key}" for key in keys}
    if name == "setup":
        assert named == {f"{mount}/{key}" for key in ("superuser", *ROLES)}
    else:
        assert keys == {name} | ({"console_key"} if name == "console" else set())
        assert named == {f"{mount}/{key}" for key in keys}


@pytest.mark.parametrize("name", SERVING)
def test_restarts_ask_healthz_and_traffic_asks_readyz(name: str) -> None:
    probes = {kind: container(name)[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {kind: probe["path"] for kind, probe in probes.items()} == {
        "startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz",
    }  # fmt: skip
    [health] = [port["containerPort"] for port in container(name)["ports"] if port["name"] == "health"]
    assert str(health) == environment(name)["METERING_HTTP_PORT"]
    waits = container(name).get("lifecycle", {"preStop": {"exec": {"command": ["sleep", "0"]}}})
    program, seconds = waits["preStop"]["exec"]["command"]
    assert program == "sleep" and (int(seconds) > 0) is (name == "console"), "the one that others send requests to"
    assert PODS[name]["terminationGracePeriodSeconds"] > int(seconds) + KINDS[name].model_fields["grace_s"].default


def test_setup_is_tried_again_and_keeps_its_logs() -> None:
    """Exit code 2 is a wrong setting, and also a password that the server has not yet."""
    job = BY_NAME["Job/credit-setup"]["spec"]
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    assert job["backoffLimit"] > 0 and "podFailurePolicy" not in job


@pytest.mark.parametrize("name", SERVING)
def test_a_service_is_spread_and_not_drained_as_a_whole(name: str) -> None:
    labels = BY_NAME[f"Deployment/credit-{name}"]["spec"]["selector"]["matchLabels"]
    assert BY_NAME[f"Deployment/credit-{name}"]["spec"]["template"]["metadata"]["labels"].items() >= labels.items()
    spread = PODS[name]["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    assert [one["labelSelector"]["matchLabels"] for one in spread] == [labels, labels]
    budget = BY_NAME[f"PodDisruptionBudget/credit-{name}"]["spec"]
    assert budget == {
        "maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow", "selector": {"matchLabels": labels},
    }  # fmt: skip
