"""JSON that commands print: its keys are names that a program can use, as in SQL and in events, and holds values."""

import json
import re
from collections.abc import Iterator

from tests.architecture.captures import GOLDEN

KEY = re.compile(r"[a-z][a-z0-9_]*")


def keys_of(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for member in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from keys_of(member)


def captured() -> Iterator[tuple[str, object]]:
    """Each JSON object among the captures, with the file that has it."""
    for file in sorted(GOLDEN.glob("*.txt")):
        lines = file.read_text(encoding="utf-8").splitlines()
        yield from ((file.stem, json.loads(line)) for line in lines if line.startswith('{"'))


def test_every_key_is_in_snake_case() -> None:
    found = [(command, key) for command, document in captured() for key in keys_of(document)]
    assert len({command for command, _ in found}) > 10
    assert [pair for pair in found if not KEY.fullmatch(pair[1])] == []


def test_a_key_with_a_blank_is_found() -> None:
    """The test of the test above: it can fail."""
    assert [key for key in keys_of([{"a": {"time zone": 1}}]) if not KEY.fullmatch(key)] == ["time zone"]


def texts_of(value: object) -> Iterator[str]:
    """Each text that stands in a list."""
    if isinstance(value, list):
        yield from (member for member in value if isinstance(member, str))
    for member in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts_of(member)


def words_for_nothing(document: object) -> list[str]:
    return [text for text in texts_of(document) if text == "none"]


def test_a_list_of_nothing_is_empty() -> None:
    """Not the word that people read."""
    assert [(command, text) for command, document in captured() for text in words_for_nothing(document)] == []
    assert words_for_nothing({"rows": [{"told": ["none"]}], "state": "none"}) == ["none"], "it can be found"


SAID = re.compile(r" left\b| % ?\(epoch ")


def told_in_words(document: object) -> list[str]:
    """Keys of amounts, balances and lines whose value is for people."""
    if not isinstance(document, dict):
        return []
    names = ("balances", "lines", "told", "reached_now", "remarks", "kept_grants", "kept_usage")
    return [
        name for name in names if SAID.search(json.dumps(document.get(name))) or isinstance(document.get(name), str)
    ]


def test_amounts_balances_and_lines_are_no_sentences() -> None:
    assert [(command, name) for command, document in captured() for name in told_in_words(document)] == []
    in_words = {"balances": ["5 of 75 left"], "lines": [{"line": "50 % (epoch 1)"}], "told": "nobody", "remarks": []}
    assert told_in_words(in_words) == ["balances", "lines", "told"], "each can be found"


EXPONENT = re.compile(r'"-?[0-9.]+E[+-]?[0-9]+"')


def test_amounts_have_no_exponent() -> None:
    assert [command for command, document in captured() if EXPONENT.search(json.dumps(document))] == []
    assert EXPONENT.search(json.dumps({"amount": "1E-6"})), "one can be found"


# What a person, a record or a server said, and what is written for people beside a code: no value that a program takes
# apart. Everything else is a value.
TEXTS = frozenset(
    {"detail", "advice", "reason", "dismissed", "text", "subject", "name", "display_name", "kept_name", "value", "note",
     "step", "meaning", "default"}
)  # fmt: skip
SENTENCE_WORDS = 3


def sentences(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Each text of several words, with the key that it, or the list that it is in, stands under."""
    if isinstance(value, str) and len(value.split()) >= SENTENCE_WORDS and name not in TEXTS:
        yield name, value
    for key, member in value.items() if isinstance(value, dict) else ():
        yield from sentences(member, key)
    for member in value if isinstance(value, list) else ():
        yield from sentences(member, name)


def test_values_are_no_sentences() -> None:
    assert [(command, *found) for command, document in captured() for found in sentences(document)] == []


def test_a_sentence_is_found() -> None:
    """The test of the test above: it can fail."""
    document = {"says": "told by letter", "detail": "it is no JSON", "replays": [{"by": "support-1"}, "at noon by us"]}
    assert list(sentences(document)) == [("says", "told by letter"), ("replays", "at noon by us")]
