"""deploy/kubernetes/production as its files hold it, and rendered as `kubectl apply -k` does."""

import shutil
import subprocess
from collections.abc import Iterator

import pytest
import yaml

from tests.architecture.sources import ROOT
from tests.support.kubernetes import Found, by_name

FOLDER = ROOT / "deploy/kubernetes/production"


def render() -> list[Found] | None:
    built = str(ROOT / ".local/bin/kustomize")  # by .ci/kustomize
    command = next((found for name in ("kubectl", "kustomize", built) if (found := shutil.which(name))), None)
    if command is None:
        return None
    verb = "kustomize" if command.endswith("kubectl") else "build"
    done = subprocess.run([command, verb, FOLDER], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@pytest.fixture(scope="module")
def objects() -> dict[str, Found]:
    rendered = render()
    if rendered is None:
        pytest.skip("neither kubectl nor kustomize is here, which render the overlay: .ci/kustomize builds one")
    return by_name(rendered)


def written() -> Iterator[Found]:
    """What the files hold before they are rendered, without the patches."""
    resources = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    for name in resources:
        if name != "../base":
            yield from yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8"))


WRITTEN = by_name(written())


def of_kind(kind: str, objects: dict[str, Found] = WRITTEN) -> dict[str, Found]:
    return {found["metadata"]["name"]: found["spec"] for found in objects.values() if found["kind"] == kind}
