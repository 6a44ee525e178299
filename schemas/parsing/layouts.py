"""Patterns of the orders in which producers write a usage event: one for each order that comes often.

A CloudEvents library writes the attributes in one order, whatever it is. The order of our own client has its pattern
from the start; another one gets its pattern once it was seen LEARN_AFTER times, because a pattern takes less than half
of the time that the JSON reader takes. Which patterns are there changes the time of reading, never what is read.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from schemas.limits import MAX_NAME_CHARS

LEARN_AFTER: Final = 64
# Writing a pattern takes about as long as the reference takes for LEARN_AFTER events. Each one that does not fit costs
# a look, so they are few; whoever makes up orders makes others slow at most.
MOST_LAYOUTS: Final = 16
MOST_ATTRIBUTES: Final = 16
MOST_MADE: Final = 64
MOST_SEEN: Final = 1_000
OWN_ORDER: Final = ("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data")

# Every repeat is possessive (`++`), because backtracking could not find another match. What may be missing is an empty
# alternative (`|)`). Both cost less than the usual form.
_TEXT: Final = '([^"]*+)'
# Where its marks are; `fromisoformat` checks the digits.
TIME: Final = r"....-..-..T..:..:..(?:\.[0-9]{1,6}+|)Z"
# Printable ASCII without quote and backslash: JSON text and the string it encodes are the same. A name that begins with
# a blank may be nothing but blanks: the reference judges it.
_NAME: Final = rf"[!#-\[\]-~][ !#-\[\]-~]{{0,{MAX_NAME_CHARS - 1}}}+"
_EXTENSION: Final = r'"([ !#-\[\]-~]*+)"'
# Numbers below MAX_TOKENS and MAX_RUNS. The reference judges all others.
_TOKENS: Final = "(?:0|[1-9][0-9]{0,14}+)"
_RUNS: Final = "[1-9][0-9]{0,5}+"
_FIELD: Final = "(model|guardrail|script|tool)"
# One pattern reads all types: a field that belongs to another type is kept, as any field beyond the contract is. The
# pattern does not check type and amount. In the order of the contract no field can come twice.
_IN_ORDER: Final = (
    rf'(\{{(?:"credits":"([0-9.]++)","|"){_FIELD}":"({_NAME})"(?:,"deployment":"{_NAME}"|)(?:,"input_tokens":{_TOKENS}|)'
    rf'(?:,"output_tokens":{_TOKENS}|)(?:,"runs":({_RUNS})|)(?:,"status":"{_NAME}"|)\}})'
)
# The groups of the fields but that of the name: as many have matched as there are keys, if none comes twice.
_IN_ANY_ORDER: Final = (
    rf'(\{{(?:(?:"credits":"([0-9.]++)"|"{_FIELD}":"({_NAME})"|"runs":({_RUNS})|"deployment":"({_NAME})"'
    rf'|"input_tokens":({_TOKENS})|"output_tokens":({_TOKENS})|"status":"({_NAME})")(?:,(?=")|(?=\}})))+\}})'
)
_DATA_GROUPS: Final = {_IN_ORDER: 5, _IN_ANY_ORDER: 9}
_ATTRIBUTES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("id", "source", "type", "subject"), f'"{_TEXT}"'),
    "time": f'"({TIME})"',
    "specversion": r'"1\.0"',
    "datacontenttype": '"application/json"',
}

# Id, source, type, subject, time, text of the data, credits, field of the name, name, runs.
Found = tuple[str, str, str, str, str, str, str | None, str, str, str | None]


class Layout(NamedTuple):
    """`groups` of a match are `Found`, `fields` those of data in any order; extensions have a name and a group."""

    match: Callable[[str], re.Match[str] | None]
    groups: tuple[int, ...]
    fields: tuple[int, ...] = ()
    extensions: tuple[tuple[str, int], ...] = ()
    is_plain: bool = True  # has neither


def write_pattern(order: Sequence[str], data: str = _IN_ORDER, *, spaced: bool = False) -> str:
    """Of events with these attributes, compact or with the blanks of Python's `json.dumps`."""
    members = (f'"{name}":{data if name == "data" else _ATTRIBUTES.get(name, _EXTENSION)}' for name in order)
    compact = r"\{" + ",".join(members) + r"\}"
    return compact.replace('":', '": ').replace(',"', ', "').replace(',(?=")', ', (?=")') if spaced else compact


def make_layout(order: Sequence[str], data: str, *, spaced: bool) -> Layout:
    at: dict[str, int] = {}
    number = 1
    for name in order:
        at[name] = number
        number += _DATA_GROUPS[data] if name == "data" else name not in ("specversion", "datacontenttype")
    text = at["data"]
    groups = (*(at[name] for name in ("id", "source", "type", "subject", "time")), *range(text, text + 5))
    fields = () if data == _IN_ORDER else (text + 1, text + 2, *range(text + 4, text + 9))
    extensions = tuple((name, at[name]) for name in order if name not in OWN_ORDER)
    match = re.compile(write_pattern(order, data, spaced=spaced)).fullmatch
    return Layout(match, groups, fields, extensions, not fields and not extensions)


class Layouts:
    """The patterns that are `known`; the one that fitted last is the first of them."""

    def __init__(self) -> None:
        self.known = [make_layout(OWN_ORDER, _IN_ORDER, spaced=spaced) for spaced in (False, True)]
        self._seen: dict[tuple[tuple[str, ...], bool], int] = {}
        self._made: dict[tuple[tuple[str, ...], bool], Layout] = {}  # the last one of each form, whether it fits or not

    def find(self, json: str) -> tuple[Found, str | None] | None:
        """The parts of an event that one of the patterns fits, and the text of its extensions."""
        for layout in self.known:
            match = layout.match(json)
            if match:
                break
        else:
            return None
        if layout is not self.known[0]:
            self.known.remove(layout)
            self.known.insert(0, layout)
        parts: Found = match.group(*layout.groups)  # type: ignore[assignment]  # what the pattern must have
        if layout.fields and parts[5].count('":') != len(layout.fields) - match.group(*layout.fields).count(None):
            return None  # a field comes twice
        if not layout.extensions:
            return parts, None
        return parts, "{" + ",".join([f'"{name}":"{match[at]}"' for name, at in layout.extensions]) + "}"

    def learn(self, order: tuple[str, ...], json: str) -> None:
        """An event of this order keeps the contract and was not found: the order may get a pattern.

        First one for data in the order of the contract, then one for data in any order.
        """
        if len(self.known) > MOST_LAYOUTS or len(self._made) > MOST_MADE or len(order) > MOST_ATTRIBUTES:
            return
        head = f'{{"{order[0]}":'
        after = json[len(head) : len(head) + 2]
        spaced = after[0] == " "
        if not json.startswith(head) or after[spaced] not in '"{':
            return  # with other white space
        form = order, spaced
        before = self._made.get(form)
        if before is not None and before.fields:
            return
        count = self._seen[form] = self._seen.get(form, 0) + 1
        if count >= LEARN_AFTER:
            del self._seen[form]
            self._made[form] = made = make_layout(order, _IN_ANY_ORDER if before else _IN_ORDER, spaced=spaced)
            self.known[:] = [layout for layout in self.known if layout is not before]
            if made.match(json):
                self.known.append(made)
        if len(self._seen) > MOST_SEEN:
            self._seen.clear()
