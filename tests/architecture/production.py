"""deploy/kubernetes/production as its files hold it, and rendered as `kubectl apply -k` does."""

from collections.abc import Iterator

import pytest
import yaml

from tests.architecture.sources import ROOT
from tests.support.kubernetes import Found, by_name, render

FOLDER = ROOT / "deploy/kubernetes/production"


@pytest.fixture(scope="module")
def objects() -> dict[str, Found]:
    return by_name(render("production"))


def written() -> Iterator[Found]:
    """What the files hold before they are rendered, without the patches."""
    resources = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    for name in resources:
        if name != "../base":
            yield from yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8"))


WRITTEN = by_name(written())


def of_kind(kind: str, objects: dict[str, Found] = WRITTEN) -> dict[str, Found]:
    return {found["metadata"]["name"]: found["spec"] for found in objects.values() if found["kind"] == kind}
