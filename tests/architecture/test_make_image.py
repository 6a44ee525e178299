"""The build for production takes no base that may be another one tomorrow."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.architecture.test_image import PROJECT, ROOT

DIGEST = "0123456789abcdef" * 4
SCRIPT = ROOT / "deploy/make-image"


def build(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With a `docker` that says what it was asked for."""
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    docker.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    return subprocess.run(
        [SCRIPT, *arguments], env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "base",
    [
        "", "python:3.12-slim", "python@sha256:", f"python:3.12-slim@sha256:{DIGEST[:-1]}", f"python@sha256:{DIGEST}0",
        f"@sha256:{DIGEST}", f"python @sha256:{DIGEST}", f"python@sha256:{DIGEST.upper()}", "--push",
    ],
)  # fmt: skip
def test_a_base_without_a_digest_is_refused_with_what_to_do(tmp_path: Path, base: str) -> None:
    done = build(tmp_path, base)
    assert done.returncode == 2 and done.stdout == ""
    assert "docker inspect --format" in done.stderr and max(map(len, done.stderr.splitlines())) <= 120


def test_the_base_goes_with_its_digest_into_the_build_and_the_label(tmp_path: Path) -> None:
    base = f"python:3.12-slim@sha256:{DIGEST}"
    done = build(tmp_path, base)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert f"PYTHON_IMAGE={base}" in said and f"credit-meter:{PROJECT['project']['version']}" in said
    assert any(word.startswith("REVISION=") and word != "REVISION=" for word in said)


def test_help_says_how(tmp_path: Path) -> None:
    done = build(tmp_path, "--help")
    assert done.returncode == 0 and "Example:" in done.stdout


def test_make_passes_the_base_on(tmp_path: Path) -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "-C", ROOT, "image"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "has no digest" in done.stderr
