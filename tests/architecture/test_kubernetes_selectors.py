"""What deploy/kubernetes selects by labels is there, whether an object selects it or a command of the guides.

Kubernetes takes a selector that selects nothing: a policy then lets nobody through, a Service sends to nobody, a budget
protects nothing, and Prometheus asks nobody.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from deploy import strimzi
from tests.architecture.sources import ROOT
from tests.support.guides import blocks
from tests.support.kubernetes import Found, by_name, pod_of, pods, render, template_of

Labels = dict[str, str]
Objects = dict[str, Found]
SELECTORS = {"selector", "podSelector", "labelSelector", "namespaceSelector"}
NAME = "app.kubernetes.io/name"
NAMESPACE = "kubernetes.io/metadata.name"
# Of pods that operators make: for which object. The one of Kafka itself is not ours: the guide says what it is called.
OPERATORS = {
    ("cnpg.io/cluster", "credit-postgres"): "Cluster/credit-postgres",
    ("strimzi.io/cluster", strimzi.CLUSTER): "KafkaUser/credit-meter",
}
# Of pods and namespaces of others, who must be told.
IN_THE_GUIDE = {
    (NAME, "prometheus"),
    ("app.kubernetes.io/component", "controller"),
    ("credit-meter/reads-balances", "true"),
    (NAMESPACE, "kube-system"),
    (NAMESPACE, "cnpg-system"),
}
GUIDE = (ROOT / "deploy/README.md").read_text(encoding="utf-8")
TEXTS = [*ROOT.glob("deploy/*.md"), *ROOT.glob("deploy/kubernetes/**/*.yaml")]
# `kubectl apply -k FOLDER -l CHOICE`, in a block, in a table or in a comment.
APPLIED = re.compile(r"kubectl apply -k (\S+)[ \\\n]+-l ('[^']+'|[^\s`]+)")
COMMANDS = sorted({found for path in TEXTS for found in APPLIED.findall(path.read_text(encoding="utf-8"))})
TERM = re.compile(r"([\w./-]+)(=|!=| notin )\(?([\w,-]+)\)?(?:,|$)")


@pytest.fixture(scope="module")
def folders() -> dict[str, Objects]:
    """The objects of each folder by their names; those of `people` stand beside those of `production`."""
    found = {name: by_name(render(name)) for name in ("base", "production", "people")}
    assert not found["production"].keys() & found["people"].keys()
    return found | {"all": found["production"] | found["people"]}


def selectors(inside: Any, at: str) -> Iterator[tuple[str, Found]]:
    """Each selector in an object, however deep, with where it stands."""
    if isinstance(inside, list):
        for number, one in enumerate(inside):
            yield from selectors(one, f"{at}[{number}]")
    elif isinstance(inside, dict):
        for key, value in inside.items():
            if key in SELECTORS:
                yield f"{at}.{key}", value
            else:
                yield from selectors(value, f"{at}.{key}")


def asked_for(selector: Found) -> list[Labels]:
    """The labels that somebody must have: once for each value of a list, for each of them names somebody."""
    in_words = {"matchLabels", "matchExpressions"} & selector.keys()
    found: list[Labels] = [dict(selector.get("matchLabels", {}) if in_words else selector)]
    for rule in selector.get("matchExpressions", []):
        assert rule["operator"] == "In", "no other is understood here"
        found = [labels | {rule["key"]: value} for labels in found for value in rule["values"]]
    return found


def is_there(labels: Labels, objects: Objects) -> bool:
    templates = [template for found in objects.values() if (template := template_of(found)) is not None]
    if any(labels.items() <= template["metadata"]["labels"].items() for template in templates):
        return True
    return all(OPERATORS.get(label) in objects or label in IN_THE_GUIDE for label in labels.items())


@pytest.mark.parametrize("folder", ["base", "all"])
def test_every_selector_selects_somebody(folder: str, folders: dict[str, Objects]) -> None:
    objects = folders[folder]
    found = [one for name, whole in objects.items() for one in selectors(whole.get("spec"), name)]
    # Of the four Deployments each has its own, two of spreading and one of its budget.
    assert len(found) > 16
    assert [(at, one) for at, whole in found for one in asked_for(whole) if not is_there(one, objects)] == []


@pytest.mark.parametrize(
    "selector",
    [
        {NAME: "credit-metre"},
        {"matchLabels": {NAME: "credit-meter", "app.kubernetes.io/part-of": "credit-metre"}},
        {"matchExpressions": [{"key": NAME, "operator": "In", "values": ["credit-meter", "credit-suport"]}]},
        {"matchLabels": {"cnpg.io/cluster": "credit-postgre"}},
    ],
    ids=str,
)
def test_one_that_selects_nobody_is_found(selector: Found, folders: dict[str, Objects]) -> None:
    assert not all(is_there(labels, folders["all"]) for labels in asked_for(selector))


@pytest.mark.parametrize("label", sorted(IN_THE_GUIDE), ids=str)
def test_the_guide_names_the_labels_that_others_need(label: tuple[str, str], folders: dict[str, Objects]) -> None:
    found = [one for name, whole in folders["all"].items() for _, one in selectors(whole.get("spec"), name)]
    assert any(label in labels.items() for one in found for labels in asked_for(one)), "nothing selects it"
    key, value = label
    assert f"`{value}`" in GUIDE if key == NAMESPACE else re.search(f'`{key}: "?{value}"?`', GUIDE)


def test_policies_let_in_where_pods_listen(folders: dict[str, Objects]) -> None:
    """And the Service sends there. Ports of other policies are those of Postgres, Kafka and mail servers."""
    listens = {
        port["containerPort"]: name
        for name, found in folders["all"].items()
        if (pod := pod_of(found)) is not None
        for port in pod["containers"][0].get("ports", [])
    }
    policies = {name: one["spec"] for name, one in folders["base"].items() if one["kind"] == "NetworkPolicy"}
    let_in = {port["port"] for one in policies.values() for rule in one["ingress"] for port in rule["ports"]}
    assert let_in == listens.keys()


def chosen(choice: str, objects: Objects) -> Objects:
    """What of them `-l` takes; one without the label is other than any value."""
    terms = TERM.findall(choice.strip("'"))
    assert len(terms) == choice.count("=") + choice.count(" notin "), "all of it is understood"
    return {
        name: found
        for name, found in objects.items()
        if all(
            (found["metadata"]["labels"].get(key) in values.split(",")) is (operator == "=")
            for key, operator, values in terms
        )
    }


def needed(pod: Found) -> set[str]:
    """Names of the objects without which a pod is refused or does not start: of a secret all that may make it."""
    names = {f"ServiceAccount/{pod['serviceAccountName']}"}
    names |= {f"ConfigMap/{one['configMapRef']['name']}" for one in pod["containers"][0]["envFrom"]}
    for secret in (volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume):
        names |= {f"ExternalSecret/{secret}", f"KafkaUser/{secret}", f"Cluster/{secret.removesuffix('-ca')}"}
    return names


@pytest.mark.parametrize(("folder", "choice"), COMMANDS)
def test_a_command_applies_pods_with_all_that_they_need(folder: str, choice: str, folders: dict[str, Objects]) -> None:
    named = {value for _, _, values in TERM.findall(choice.strip("'")) for value in values.split(",")}
    assert named <= {found["metadata"]["labels"].get(NAME) for found in folders["all"].values()}
    for objects in [folders[folder.rpartition("/")[2]]] if folder != "…" else [folders["base"], folders["production"]]:
        taken = chosen(choice, objects)
        assert taken and taken.keys() < objects.keys()
        of_pods = [pod for found in taken.values() if (pod := pod_of(found)) is not None]
        assert of_pods
        assert {name for pod in of_pods for name in needed(pod)} & (objects.keys() - taken.keys()) == set()


@pytest.mark.parametrize("folder", ["base", "production"])
def test_an_upgrade_runs_setup_before_any_other_pod(folder: str, folders: dict[str, Objects]) -> None:
    [text] = [block.text for block in blocks("sh") if block.first.startswith("kubectl delete job credit-setup")]
    [(_, choice)] = APPLIED.findall(text)
    assert pods(chosen(choice, folders[folder])).keys() == {"setup"}
    assert text.index("kubectl apply") < text.index("kubectl wait --for=condition=complete")


def test_nobody_is_sent_into_a_pod_that_has_not_started() -> None:
    entered = [block for block in blocks("sh") if "kubectl apply" in block.text and "kubectl exec" in block.text]
    assert entered
    for block in entered:
        between = block.text[block.text.index("kubectl apply") : block.text.index("kubectl exec")]
        assert "kubectl wait --for=condition=Ready" in between
