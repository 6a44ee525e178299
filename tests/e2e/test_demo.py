"""`make demo` as people run it: it plays, checks itself and ends."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 300


def test_the_demo_ends_by_itself_with_everything_as_it_must_be() -> None:
    command = [sys.executable, "-m", "deploy.local.demo"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("Balances, notices and emails equal what was produced.")
    for sign in ("refused    acct-spender", "allowed    acct-spender", "acct-spender, model credits: cleared"):
        assert sign in done.stdout
