"""Habits that hold over the whole tree."""

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.sources import PACKAGES, ROOT, calls_of, modules, project_files, tree_of

TEXT = {".py", ".sql", ".md", ".toml", ".yaml", ".yml", ".json", ".lock", ".j2", ".xml", ".properties", ".txt", ""}
# Put together from parts, so that this file is not found by its own rule.
REGISTRIES = [
    "".join(parts)
    for parts in (
        ("docker", ".io"),
        ("ghcr", ".io"),
        ("quay", ".io"),
        ("gcr", ".io"),
        ("public.ecr", ".aws"),
        ("mcr.microsoft", ".com"),
        ("py", "pi.org"),
        ("files.python", "hosted.org"),
        ("repo.maven", ".apache.org"),
        ("repo1", ".maven.org"),
        ("registry.", "npmjs"),
        ("crates", ".io"),
        ("proxy.golang", ".org"),
        ("sum.golang", ".org"),
        ("deb.", "debian.org"),
    )
]
# A path below somebody's home, or the folder a checkout happens to lie in.
MACHINE_PATHS = re.compile(
    "|".join([rf"(?<![\w.])/{'ro' + 'ot'}/", rf"(?<![\w.])/{'ho' + 'me'}/\w", rf"/{'Us' + 'ers'}/\w"])
)
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
PACED = (
    "tests/bench/",
    "tests/containers/",
    "tests/faults/",
)  # load and faults are given at a rate: that is their purpose
ENGINE = "apt-get install docker" + ".io"  # Debian's package of the Docker Engine has the name of a registry
SLEEPS = {"sleep", "time.sleep", "asyncio.sleep"}


def text_files() -> list[Path]:
    return [path for path in project_files() if path.suffix in TEXT]


def test_files_are_found() -> None:
    assert len(text_files()) > 50


def test_no_registry_is_named() -> None:
    """Where packages and images come from is the business of whoever builds."""
    texts = {path: path.read_text(encoding="utf-8").replace(ENGINE, "") for path in text_files()}
    assert [(path, host) for path, text in texts.items() for host in REGISTRIES if host in text] == []


def test_no_path_of_one_machine_is_named() -> None:
    found = [(path, hit[0]) for path in text_files() if (hit := MACHINE_PATHS.search(path.read_text(encoding="utf-8")))]
    assert found == []


def test_names_say_what_a_module_is_for() -> None:
    assert [file for file in modules(*PACKAGES, "deploy", "tests") if VAGUE & set(file.with_suffix("").parts)] == []


def test_every_module_says_what_it_is_for() -> None:
    """Empty package files aside, and tests, whose names say it."""
    every = [file for file in modules(*PACKAGES, "deploy", "tests") if not file.name.startswith("test_")]
    full = [file for file in every if tree_of(file).body]
    assert [str(file) for file in full if not ast.get_docstring(tree_of(file))] == []


@pytest.mark.parametrize("package", [*PACKAGES, "deploy", "deploy/local", "tests"])
def test_every_package_has_a_readme(package: str) -> None:
    assert (ROOT / package / "README.md").read_text(encoding="utf-8").startswith("# ")


def test_tests_wait_for_conditions_and_not_for_time() -> None:
    """`sleep(0)` gives others a turn; any other sleep is a guess. The polling in tests/support is the one place."""
    files = [file for file in modules("tests") if not file.as_posix().startswith((*PACED, "tests/support/"))]
    guesses = [
        f"{file}:{call.lineno}"
        for file in files
        for name, call in calls_of(file)
        if name in SLEEPS and not is_zero(call)
    ]
    assert guesses == []


def is_zero(call: ast.Call) -> bool:
    return len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
