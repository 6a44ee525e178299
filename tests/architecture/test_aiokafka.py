"""aiokafka's private names stay inside the adapter: a new version of aiokafka can break that package only."""

import ast
import re
from pathlib import Path

from tests.architecture.sources import PACKAGES, ROOT, modules, tree_of

ADAPTER = "meter/runtime/kafka/adapter/"
# The tests of the adapter, and the faults that only aiokafka's insides can produce.
TESTS = ("tests/unit/runtime/kafka/adapter/", "tests/integration/runtime_faults.py", "tests/architecture/")
# `meter/runtime/README.md` says of each what would break. `_client`, `_records` and `_sender` are names
# of our own, too.
PRIVATE = {
    *("_fetcher", "_coordinator", "_subscription", "_crecords", "_detect_xerial_stream", "_consumer_record"),
    *("_unpack_records", "_sync_task", "_metadata_update", "_assignors", "_group_protocols"),
    *("_key_deserializer", "_stop_heartbeat_task", "_stop_commit_offsets_refresh_task", "_send_req"),
}
OWN_CLASSES = {"self", "cls"}


def names_of(file: Path) -> set[str]:
    return set(re.findall(r"\b_[a-z_]+\b", (ROOT / file).read_text(encoding="utf-8")))


def test_each_private_name_is_used_in_the_adapter() -> None:
    used = set().union(*(names_of(file) for file in modules(ADAPTER)))
    assert used >= PRIVATE, "the list names one that is gone"


def test_private_names_of_aiokafka_stand_in_the_adapter_only() -> None:
    others = [
        file for file in modules(*PACKAGES, "deploy", "tests") if not file.as_posix().startswith((ADAPTER, *TESTS))
    ]
    assert {str(file): found for file in others if (found := names_of(file) & PRIVATE)} == {}


def test_outside_the_adapter_no_module_reaches_into_another_object() -> None:
    """Also what the list does not name: `client._anything`, where the client is not the module's own class."""
    files = [file for file in modules("meter/runtime/kafka") if not file.as_posix().startswith(ADAPTER)]
    reached = [
        f"{file}:{node.lineno} {ast.unparse(node)}"
        for file in files
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.Attribute)
        and re.match(r"_[a-z]", node.attr)
        and node.attr != "_replace"
        and not (isinstance(node.value, ast.Name) and node.value.id in OWN_CLASSES)
    ]
    assert reached == []


def test_the_readme_lists_every_private_name() -> None:
    text = (ROOT / "meter/runtime/README.md").read_text(encoding="utf-8")
    assert [name for name in sorted(PRIVATE) if f"`{name}`" not in text] == []


def test_the_version_is_bounded() -> None:
    assert '"aiokafka>=0.14,<0.15"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
