"""The commands of the guides that run in the containers of the compose file, as pasted, on the stack that stands."""

import os
import subprocess
from pathlib import Path

from tests.containers.engine import compose_command
from tests.containers.stack import ROOT, ComposeStack
from tests.support.guides import Block, blocks

COMPOSE = "docker compose -f deploy/compose.yaml"
TIMEOUT_S = 600
# First commands of blocks, by file. Those that build, start and remove the stack are this check itself.
WANTED = (
    ("deploy/README.md", f"{COMPOSE} run --rm support"),
    ("deploy/RUNBOOKS.md", f"{COMPOSE} ps"),
    ("deploy/RUNBOOKS.md", "dc run --rm --no-deps setup meter setup --check"),
)


def check_commands(stack: ComposeStack) -> list[str]:
    """What a command of theirs printed, where it failed; and a block that is not there any more."""
    shell = blocks("sh")
    faults = []
    for file, first in WANTED:
        found = [block for block in shell if block.file == file and block.first.startswith(first)]
        faults += [fault for block in found for fault in run_block(stack, block)]
        faults += [] if found else [f"{file} has no block any more that begins with {first!r}"]
    return faults


def run_block(stack: ComposeStack, block: Block) -> list[str]:
    """Each line by itself: a block goes on for a person who sees one fail."""
    alias = f"alias dc='{COMPOSE}'\n"
    programs = stack.folder / "programs"
    write_docker(stack, programs)
    faults = []
    for line in block.text.splitlines():
        done = subprocess.run(
            ["sh", "-uc", alias + line], cwd=ROOT, env=os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"},
            capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            faults.append(f"{block.file}: {line}: exit code {done.returncode}: {(done.stdout + done.stderr)[-600:]}")
    return faults


def write_docker(stack: ComposeStack, folder: Path) -> None:
    """A `docker` whose `compose -f deploy/compose.yaml` is the stack of this check."""
    folder.mkdir(exist_ok=True)
    command = " ".join(f"'{word}'" for word in [str(compose_command()), *stack.options])
    script = folder / "docker"
    script.write_text(
        f'#!/bin/sh\n[ "$1 $2 $3" = "compose -f deploy/compose.yaml" ] || exit 127\nshift 3\nexec {command} "$@"\n',
        encoding="utf-8",
    )
    script.chmod(0o755)
