"""Reads usage events with their fields in any order and with any white space. Takes twice as long as the pattern.

Why it is cheap and safe:

* A value without a backslash has no escapes: no string in it hides a NUL, a surrogate or a quote. If the value is
  printable, every string in it is.
* orjson keeps the last of two equal keys. Without escapes each string has two quotes. If the value has exactly the
  quotes of the keys and texts that were read, no key was repeated.
* If no string has a brace, the second opening brace starts the data, so its text can be cut out as it was sent.
* It takes text, because searching text is several times faster than searching bytes.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from schemas.amounts import MICRO
from schemas.events import CODES
from schemas.identity import MAX_SOURCE_CHARS, is_id
from schemas.limits import MAX_NAME_CHARS, MAX_RUNS, MAX_TOKENS
from schemas.parsing.cache import amounts
from schemas.parsing.envelope import ATTRIBUTE
from schemas.resources import RESOURCE_CODES, Resource

_INFERENCE: Final = CODES["usage.model_inference.v1"]
_TOOL_RUN: Final = CODES["usage.tool_run.v1"]
_CREDITS: Final = RESOURCE_CODES[Resource.MODEL_CREDITS]
_TOOL_RUNS: Final = RESOURCE_CODES[Resource.TOOL_RUNS]
_CORE: Final = frozenset({"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"})
# Characters 4, 7, 10, 13, 16 and 19 of a time in UTC by its length: without a fraction, or with 1 to 6 digits of it.
# `fromisoformat` checks the rest.
_TIME_MARKS: Final = {20: "--T::Z", **dict.fromkeys(range(22, 28), "--T::.")}
_find_number: Final = re.compile(r'"credits"[ \t\n\r]*:[ \t\n\r]*([0-9.]{1,20})[ \t\n\r]*[,}]').search

# Codes of type and resource, amount in micro-units, name, and how many of the data's values are text.
Facts = tuple[int, int, int, str, int]
Reader = Callable[[Mapping[str, Any], str], Facts | None]
# Id, source, subject, time, text of the data, codes of type and resource, amount, name, extensions, names of all
# attributes.
Parts = tuple[str, str, str, str, str, int, int, int, str, str | None, tuple[str, ...]]

# What JSON of an unexpected form raises: a missing field, a list for an object, a number for text.
UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError, IndexError)


def read_any_order(json: str) -> Parts:
    """Parts of a usage event that keeps the contract; the date of its time may not exist. Raises one of UNREADABLE."""
    if "\\" in json or not ((json.isascii() and "\x7f" not in json) or json.isprintable()):
        raise ValueError("escapes or control characters")
    event = orjson.loads(json)
    event_id, time, source, subject, data = event["id"], event["time"], event["source"], event["subject"], event["data"]
    if (
        event["specversion"] != "1.0"
        or not is_id(event_id)
        or time[4:20:3] != _TIME_MARKS.get(len(time))
        or time[-1] != "Z"
        or type(source) is not str
        or not 0 < len(source) <= MAX_SOURCE_CHARS
    ):
        raise ValueError("an attribute that the reference has to judge")
    text = _cut_data(json)
    facts = _READERS[event["type"]](data, text)
    if facts is None:
        raise ValueError("data that the reference has to judge")
    code, resource, amount, name, texts = facts
    extensions, others = None, 0
    if len(event) != 8 or event["datacontenttype"] != "application/json":
        extensions, others = _extend(event)
    # Each member has a key, and each value is text except the data itself and `others`.
    if json.count('"') != 2 * (2 * len(event) - 1 - others + len(data) + texts):
        raise ValueError("a key is repeated, or a value is not text")
    return event_id, source, subject, time, text, code, resource, amount, name, extensions, tuple(event)


def _cut_data(json: str) -> str:
    """Text of the only object inside the object. Raises ValueError where there are more braces."""
    start, end = json.find("{", json.find("{") + 1), json.find("}")
    if json.find("{", start + 1) >= 0 or json.find("}", json.find("}", end + 1) + 1) >= 0:
        raise ValueError("braces in a string, or further objects")
    return json[start : end + 1]


def _extend(event: Mapping[str, Any]) -> tuple[str | None, int]:
    """JSON text of attributes beyond the core, and how many of them are not text. Raises ValueError."""
    if event.get("datacontenttype", "application/json") != "application/json":
        raise ValueError("another content type")
    extensions = {name: value for name, value in event.items() if name not in _CORE}
    others = 0
    for name, value in extensions.items():
        if not ATTRIBUTE.fullmatch(name) or name == "data_base64":
            raise ValueError("not a plain attribute")
        if type(value) is not str:
            others += 1
            if type(value) is not bool and (type(value) is not int or value == 0):  # 0 may have been sent as -0
                raise ValueError("not a plain value")
    return (orjson.dumps(extensions).decode() if extensions else None), others


def _read_amount(credits: object, text: str) -> int:
    """Micro-units. A number is read from the text of the data: a float would have lost digits. Raises ValueError."""
    if type(credits) is str:
        return amounts[credits]
    match = _find_number(text)
    if match is None:
        raise ValueError("not a plain number")
    return amounts[match[1]]


def _is_name(text: object) -> bool:
    return type(text) is str and 0 < len(text) <= MAX_NAME_CHARS and not text.isspace()


def _read_inference(data: Mapping[str, Any], text: str) -> Facts | None:
    credits, name, fields, texts = data["credits"], data["model"], 2, 1
    if "deployment" in data:
        fields, texts = 3, 2
        if not _is_name(data["deployment"]):
            return None
    if "input_tokens" in data:
        tokens, fields = data["input_tokens"], fields + 1
        if type(tokens) is not int or not 0 <= tokens <= MAX_TOKENS:
            return None
    if "output_tokens" in data:
        tokens, fields = data["output_tokens"], fields + 1
        if type(tokens) is not int or not 0 <= tokens <= MAX_TOKENS:
            return None
    if len(data) != fields or not _is_name(name):
        return None
    return _INFERENCE, _CREDITS, _read_amount(credits, text), name, texts + (type(credits) is str)


def _reader_of(code: int, field: str) -> Reader:
    def read(data: Mapping[str, Any], text: str) -> Facts | None:
        credits, name = data["credits"], data[field]
        if len(data) != 2 or not _is_name(name):
            return None
        return code, _CREDITS, _read_amount(credits, text), name, 1 + (type(credits) is str)

    return read


def _read_tool_run(data: Mapping[str, Any], _text: str) -> Facts | None:
    name, runs, fields, texts = data["tool"], 1, 1, 1
    if "runs" in data:
        runs, fields = data["runs"], 2
        if type(runs) is not int or not 1 <= runs <= MAX_RUNS:
            return None
    if "status" in data:
        fields, texts = fields + 1, 2
        if not _is_name(data["status"]):
            return None
    return (_TOOL_RUN, _TOOL_RUNS, runs * MICRO, name, texts) if len(data) == fields and _is_name(name) else None


_READERS: Final[Mapping[str, Reader]] = {
    "usage.model_inference.v1": _read_inference,
    "usage.guardrail.v1": _reader_of(CODES["usage.guardrail.v1"], "guardrail"),
    "usage.custom_script.v1": _reader_of(CODES["usage.custom_script.v1"], "script"),
    "usage.tool_run.v1": _read_tool_run,
}
