"""The list of what the image holds is that of its lock."""

import re
import tomllib

from deploy.sbom import LOCK, image_python, make_document, pinned
from tests.architecture.sources import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCUMENT = make_document(LOCK.read_text(encoding="utf-8"), PROJECT)


def test_it_has_every_package_that_the_image_installs() -> None:
    unconditional = set(re.findall(r"^([a-z0-9._-]+)==(\S+) \\$", LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    listed = {(component["name"], component["version"]) for component in DOCUMENT["components"]}
    assert listed >= unconditional
    assert {"asyncpg", "aiokafka", "pydantic", "uvloop"} <= {name for name, _ in listed}


def test_what_another_platform_needs_is_left_out() -> None:
    lock = "colorama==0.4.6 ; sys_platform == 'win32' \\\n    --hash=sha256:00\nidna==3.10 \\\n    --hash=sha256:00\n"
    assert list(pinned(lock)) == [("idna", "3.10")]


def test_each_component_is_named_once_and_as_scanners_look_for_it() -> None:
    references = [component["bom-ref"] for component in DOCUMENT["components"]]
    assert len(set(references)) == len(references)
    assert all(re.fullmatch(r"pkg:pypi/[a-z0-9.-]+@[0-9][A-Za-z0-9.+-]*", reference) for reference in references)


def test_it_says_what_it_is_of() -> None:
    assert DOCUMENT["metadata"]["component"]["purl"] == f"pkg:pypi/{PROJECT['name']}@{PROJECT['version']}"
    assert image_python() == "3.12"
