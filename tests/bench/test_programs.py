"""What is not there to build a peer is named, and with it what it was for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local import apache_kafka
from deploy.local.child import UnavailableError
from tests.bench import programs
from tests.support import building


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (programs.build_go_peer, "go is not there to build tests/bench/peers/go"),
        (programs.build_streams_peer, "mvn is not there to build tests/bench/peers/streams"),
    ],
)
def test_a_missing_tool_is_named(make: Callable[[], object], named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apache_kafka, "missing", lambda: None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UnavailableError, match=named):
        make()


def test_what_cannot_be_fetched_is_told_from_what_does_not_compile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, cache = tmp_path / "peer", tmp_path / "cache"
    source.mkdir()
    (source / "main.txt").write_text("hello")
    monkeypatch.setattr(building, "ROOT", tmp_path)
    with pytest.raises(UnavailableError, match="what peer needs cannot be fetched"):
        building.build(source, cache, ["sh"], ["sh", "-c", "exit 1"])
    with pytest.raises(building.BuildError):
        building.build(source, cache, ["sh"], ["true"], ["sh", "-c", "exit 1"])
    built = building.build(source, cache, ["sh"], ["true"], ["cp", "main.txt", "made.txt"])
    assert (built / "made.txt").read_text() == "hello"
    again = building.build(source, cache, ["sh"], ["true"], ["false"])  # kept: nothing runs
    assert again == built
