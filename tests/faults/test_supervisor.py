"""How long processes took to start, which a recovery is to be read beside."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from deploy.local.child import Child
from tests.faults.supervisor import Instance, Supervisor


def test_a_start_counts_once_a_process_begins_to_connect(tmp_path: Path) -> None:
    """Not one that is killed before: it has no time."""
    supervisor = Supervisor({}, tmp_path, on_point=lambda *_: None)
    instance = Instance("meter", 0, cast("Child", SimpleNamespace(log=tmp_path / "meter-0.log")), [])
    supervisor._note_start(instance)
    instance.child.log.write_text('{"event": "settings_read"}\n')
    supervisor._note_start(instance)
    assert supervisor.starts_s == []
    instance.child.log.write_text('{"event": "service_started"}\n')
    instance.spawned -= 7
    supervisor._note_start(instance)
    supervisor._note_start(instance)
    [seconds] = supervisor.starts_s
    assert seconds >= 7
