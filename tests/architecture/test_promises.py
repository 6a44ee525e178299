"""Sentences about security name the test that backs them; here it is seen that the test is there."""

import ast
import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
ROW: Final = re.compile(r"^\| (.+) \| `(tests/[\w/]+\.py)::(\w+)` \|$", re.MULTILINE)


def names_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_sentence_of_the_table_has_its_test() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    table = text.partition("## Which test backs which sentence")[2].partition("\n## ")[0]
    rows = ROW.findall(table)
    assert len(rows) == table.count("\n| ") - 1 >= 15, (
        "a row has another form than: | sentence | `tests/….py::test_…` |"
    )
    assert [f"{file}::{name}" for _sentence, file, name in rows if name not in names_in(file)] == []
