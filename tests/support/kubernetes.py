"""Objects of Kubernetes as files hold them: by name, and the pods that they make."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]

Found = dict[str, Any]


def render(folder: str) -> list[Found]:
    """What `kubectl apply -k` sends of a folder of deploy/kubernetes; the test is skipped where nothing renders it."""
    built = str(ROOT / ".local/bin/kustomize")  # by .ci/kustomize
    command = next((found for name in ("kubectl", "kustomize", built) if (found := shutil.which(name))), None)
    if command is None:
        pytest.skip("neither kubectl nor kustomize is here, which render the folders: .ci/kustomize builds one")
    verb = "kustomize" if command.endswith("kubectl") else "build"
    line = [command, verb, str(ROOT / "deploy/kubernetes" / folder)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def name_of(found: Found) -> str:
    return f"{found['kind']}/{found['metadata']['name']}"


def by_name(objects: Iterable[Found]) -> dict[str, Found]:
    return {name_of(found): found for found in objects}


def pods(objects: dict[str, Found]) -> dict[str, Found]:
    """What runs in the pods of our Deployments, Jobs and CronJobs, and in single pods, by the name of the service."""
    return {name.partition("/credit-")[2]: pod for name, found in objects.items() if (pod := pod_of(found)) is not None}


def pod_of(found: Found) -> Found | None:
    """None of an object that makes no pods of ours."""
    template = template_of(found)
    if template is None:
        return None
    pod: Found = template["spec"]
    return pod


def template_of(found: Found) -> Found | None:
    """Labels and content of the pods that an object makes; of a single pod its own."""
    template: Found | None = None
    if found["kind"] == "Pod":
        template = found
    elif found["kind"] == "CronJob":
        template = found["spec"]["jobTemplate"]["spec"]["template"]
    elif found["kind"] in {"Deployment", "Job"}:
        template = found["spec"]["template"]
    return template


def container(pod: Found) -> Found:
    [only] = pod["containers"]
    found: Found = only
    return found


def environment(objects: dict[str, Found], pod: Found) -> dict[str, str]:
    own = {entry["name"]: entry["value"] for entry in container(pod)["env"]}
    shared: dict[str, str] = objects["ConfigMap/credit-meter-settings"]["data"]
    return shared | own


def files_of(pod: Found) -> dict[str, str]:
    """Paths of the files that the pod sees of secrets, with `secret/key`; a whole secret is `path/*`."""
    mounts = {mount["name"]: mount["mountPath"] for mount in container(pod)["volumeMounts"]}
    seen = {}
    for volume in pod["volumes"]:
        if "secret" in volume:
            secret, at = volume["secret"], mounts[volume["name"]]
            for item in secret.get("items", [{"key": "*", "path": "*"}]):
                seen[f"{at}/{item['path']}"] = f"{secret['secretName']}/{item['key']}"
    return seen
