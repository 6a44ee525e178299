"""What the image holds beside Python itself, as a CycloneDX document made from the lock file.   make sbom

The lock names packages of every platform; those that the image's does not install are left out.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement

ROOT: Final = Path(__file__).parents[1]
LOCK: Final = ROOT / "deploy/requirements.lock"
SPEC_VERSION: Final = "1.6"


def image_python() -> str:
    """Major and minor version of the image's Python, as the Dockerfile says."""
    [found] = re.findall(r"^ARG PYTHON_IMAGE=python:(\d+\.\d+)", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)
    return str(found)


def environment() -> dict[str, str]:
    """Of the image, for the markers of the lock."""
    return {
        "python_version": image_python(),
        "python_full_version": f"{image_python()}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
    }


def pinned(lock: str) -> Iterator[tuple[str, str]]:
    """Name and version of each package that the image installs."""
    for line in lock.splitlines():
        if not line or line[0] in "# ":
            continue
        requirement = Requirement(line.removesuffix("\\").strip())
        if requirement.marker is None or requirement.marker.evaluate(environment()):
            [version] = [specifier.version for specifier in requirement.specifier]
            yield requirement.name, version


def make_document(lock: str, project: dict[str, Any]) -> dict[str, Any]:
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": {
            "component": component(project["name"], project["version"], "application")
            | {"licenses": [{"expression": project["license"]}]}
        },
        "components": [component(name, version, "library") for name, version in pinned(lock)],
    }


def component(name: str, version: str, kind: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
    return {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    json.dump(make_document(LOCK.read_text(encoding="utf-8"), project), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
