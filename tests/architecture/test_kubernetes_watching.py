"""Metrics of deploy/kubernetes/production: who asks for them, what scales pods by them, and the rules of the alerts."""

# ruff: noqa: F811  # a fixture that is imported is named again by the tests that take it

import re
import subprocess

import pytest
import yaml

from schemas.topics import DEFAULT_PARTITIONS
from tests.architecture.production import objects, of_kind  # noqa: F401  # a fixture is an argument below
from tests.architecture.sources import ROOT
from tests.architecture.test_kubernetes import SERVING
from tests.architecture.test_watching import NAMED, SERIES, labels_in
from tests.support.kubernetes import Found


@pytest.mark.parametrize("name", sorted(of_kind("ScaledObject")))
def test_pods_follow_what_waits_and_are_no_more_than_shards(name: str, objects: dict[str, Found]) -> None:
    scaled = of_kind("ScaledObject")[name]
    assert scaled["scaleTargetRef"]["name"] == name
    assert "replicas" not in objects[f"Deployment/{name}"]["spec"], "each apply would take KEDA's number back"
    assert 2 <= scaled["minReplicaCount"] <= scaled["maxReplicaCount"] <= DEFAULT_PARTITIONS
    assert scaled["fallback"]["replicas"] == scaled["minReplicaCount"]
    [trigger] = scaled["triggers"]
    query = trigger["metadata"]["query"]
    assert NAMED.findall(query) and set(NAMED.findall(query)) <= SERIES
    assert labels_in(query) <= {"job", "shard", "work"}
    assert f'job="{name.removeprefix("credit-")}"' in query


def test_prometheus_asks_each_service_under_the_name_that_alerts_and_scaling_know(objects: dict[str, Found]) -> None:
    monitor = of_kind("PodMonitor")["credit-meter"]
    [of_names] = monitor["selector"]["matchExpressions"]
    [endpoint] = monitor["podMetricsEndpoints"]
    [renaming] = endpoint["relabelings"]
    assert of_names["key"] == "app.kubernetes.io/name" and renaming["targetLabel"] == "job"
    assert renaming["sourceLabels"] == ["__meta_kubernetes_pod_label_" + re.sub(r"\W", "_", of_names["key"])]
    jobs = set()
    for name in of_names["values"]:
        template = objects[f"Deployment/{name}"]["spec"]["template"]
        assert template["metadata"]["labels"][of_names["key"]] == name
        [port] = [port for port in template["spec"]["containers"][0]["ports"] if port["name"] == endpoint["port"]]
        assert str(port["containerPort"]) == objects["ConfigMap/credit-meter-settings"]["data"]["METERING_HTTP_PORT"]
        found = re.fullmatch(renaming["regex"], name)
        assert found is not None
        jobs.add(found[1])
    assert jobs == set(SERVING)


def test_the_guides_command_makes_a_rule_of_the_alerts() -> None:
    guide = (ROOT / "deploy/README.md").read_text(encoding="utf-8")
    [block] = [text for text in re.findall(r"```sh\n(.*?)```", guide, re.DOTALL) if "PrometheusRule" in text]
    shown = block.replace("kubectl apply -f -", "cat")
    assert shown != block
    done = subprocess.run(["sh", "-euc", shown], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    rule = yaml.safe_load(done.stdout)
    assert rule.pop("spec") == yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text(encoding="utf-8"))
    assert (rule["apiVersion"], rule["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
