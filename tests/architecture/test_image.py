"""Rules that deploy/Dockerfile keeps."""

import re
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
OURS = ["setup", "meter", "projections", "notifier", "console", "support"]
SERVICES = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))["services"]


def read_instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, rest), comments dropped and continued lines joined."""
    text = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = lines.replace("\\\n", " ").splitlines()
    return [(word, rest.strip()) for line in joined if line.strip() for word, _, rest in [line.partition(" ")]]


INSTRUCTIONS = read_instructions()
LAST_STAGE = INSTRUCTIONS[max(i for i, (word, _) in enumerate(INSTRUCTIONS) if word == "FROM") :]


def of_kind(kind: str, instructions: list[tuple[str, str]] = INSTRUCTIONS) -> list[str]:
    return [rest for word, rest in instructions if word == kind]


def copied_from_the_project() -> list[str]:
    return [source for rest in of_kind("COPY") if "--from" not in rest for source in rest.split()[:-1]]


def test_the_image_runs_as_the_user_of_the_compose_file_and_not_as_root() -> None:
    [user] = of_kind("USER", LAST_STAGE)
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert {SERVICES[name]["user"] for name in OURS} == {user}


def test_the_image_carries_the_version_of_the_project() -> None:
    assert SERVICES["setup"]["image"] == f"{PROJECT['project']['name']}:{PROJECT['project']['version']}"


def test_labels_say_what_the_image_is_and_of_what() -> None:
    [labels] = of_kind("LABEL", LAST_STAGE)
    named = dict(re.findall(r'org\.opencontainers\.image\.([a-z.]+)="([^"]*)"', labels))
    assert named["version"] == PROJECT["project"]["version"]
    assert named["licenses"] == PROJECT["project"]["license"]
    assert named["revision"] == "${REVISION}" and named["base.name"] == "${PYTHON_IMAGE}"


def test_every_stage_starts_from_the_same_fixed_python() -> None:
    assert of_kind("ARG")[0] == "PYTHON_IMAGE=python:3.12-slim"
    assert of_kind("ARG", LAST_STAGE) == ["PYTHON_IMAGE", "REVISION=unknown"], "the base's name is for the label alone"
    assert {rest.split()[0] for rest in of_kind("FROM")} == {"${PYTHON_IMAGE}"}


def test_everything_that_is_installed_has_a_hash_or_comes_from_the_project() -> None:
    installs = re.findall(r"pip\S*(?: --python \S+)? install ([^&]*)", " && ".join(of_kind("RUN")))
    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes" in install or "--no-index" in install, install
    assert any("runtime.lock" in install for install in installs)


def test_what_is_installed_from_a_lock_is_what_the_lock_names() -> None:
    """Without --no-deps an older pip looks for extras (`coverage[toml]`) beside the lock and takes the newest release:
    a fresh clone could not be installed from the day on which there was one."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    installs = [line for line in [*of_kind("RUN"), *makefile] if "--require-hashes" in line]
    assert len(installs) == 3
    for install in installs:
        assert install.count("--no-deps") >= install.count("--require-hashes"), install


def test_the_builder_is_the_one_of_the_developers_lock() -> None:
    [program] = re.findall(r"awk '([^']*)'", " ".join(of_kind("RUN")))
    picked = subprocess.run(
        ["awk", program, ROOT / "requirements.lock"], capture_output=True, text=True, check=True
    ).stdout
    pins = [line for line in picked.splitlines() if line and not line.startswith(" ")]
    assert [pin.partition("==")[0] for pin in pins] == ["semantic-version", "setuptools", "setuptools-rust"]
    assert picked.count("--hash=sha256:") >= len(pins)


def test_the_compiled_part_is_built_where_it_is_asked_for_alone() -> None:
    """A build without Debian's packages and Cargo's works."""
    [build] = [rest for rest in of_kind("RUN") if "schemas/native" in rest]
    assert "COMPILED=no" in of_kind("ARG")
    assert build.startswith('if [ "$COMPILED" = yes ]; then') and build.endswith("fi")


def test_the_packages_of_the_project_are_in_the_image() -> None:
    packages = {name.rstrip("*") for name in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert packages <= set(copied_from_the_project())


@pytest.mark.parametrize("source", copied_from_the_project())
def test_what_is_copied_is_sent_to_the_builder(source: str) -> None:
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in rules
    assert any(fnmatch(source, rule[1:]) for rule in rules if rule.startswith("!"))


@pytest.mark.parametrize("name", OURS)
def test_the_commands_are_the_projects_scripts(name: str) -> None:
    assert SERVICES[name]["command"][0] in PROJECT["project"]["scripts"]
