"""Shell blocks of the READMEs: each is run, or is named with the reason why not. Said without running one."""

import re

import pytest

from tests.architecture.sources import ROOT
from tests.support.guides import Block, blocks
from tests.support.shell_blocks import NOT_RUN, RUN, SHELL, commands_of, exceptions

# What the blocks that are run call. All else may be missing on a machine, or find nobody to speak to there, as kubectl
# without a cluster.
CALLED = {"meter", "projections", "notifier", "make", "alias"}


def test_every_exception_is_needed() -> None:
    assert set(NOT_RUN) - {known for block in SHELL for known in exceptions(block)} == set()


def test_commands_stand_in_blocks_that_say_so() -> None:
    """A block without a language is a drawing or a formula: commands in it would not be run."""
    verbs = re.compile(
        r"^\s*(?:meter|projections|notifier|make|docker|pip|\.venv/\S+|python3?|pytest) [-a-z]", re.MULTILINE
    )
    assert [block.file for block in blocks("") if verbs.search(block.text)] == []


@pytest.mark.parametrize("block", [b for b in SHELL if exceptions(b)], ids=lambda b: f"{b.file}: {b.first[:30]}")
def test_files_that_are_named_are_there(block: Block) -> None:
    names = re.findall(r"\btests(?:/[\w.-]*\w)+", block.text)
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_what_is_run_calls_nothing_that_a_machine_may_lack() -> None:
    """On any machine: to run a block finds it only where the program is not there, or nothing that it speaks to."""
    assert {name for block in RUN for name in commands_of(block)} == CALLED, "NOT_RUN names the others, with the reason"


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("kubectl delete pod credit-support\n", {"kubectl"}),
        ("# kubectl\nmeter verify    # as kubectl would\n", {"meter"}),
        ("meter check - <<'END'\nkubectl\nEND\nprojections verify\n", {"meter", "projections"}),
        ("meter usage acct-1 | grep x && helm list\n", {"meter", "grep", "helm"}),
        ('curl -s "$(docker compose port meter 8080)/readyz"; meter verify\n', {"curl", "docker", "meter"}),
        ("meter open acct-1 \\\n  --plan free\n", {"meter"}),
    ],
)
def test_every_command_of_a_block_is_seen(text: str, called: set[str]) -> None:
    assert commands_of(Block("README.md", text)) == called
