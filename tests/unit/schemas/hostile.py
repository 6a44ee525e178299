"""Usage events with one thing that is wrong, or nearly wrong, as bytes: for every reader."""

from collections.abc import Iterator

from schemas.events import TYPES_BY_CODE, USAGE_CODES
from schemas.identity import OWN_SOURCE
from tests.unit.schemas.builders import ACCOUNT, EVENT_ID, make_event, to_bytes

USAGE_TYPES = [TYPES_BY_CODE[code] for code in USAGE_CODES]
INFERENCE, GUARDRAIL, SCRIPT, TOOL_RUN = USAGE_TYPES

HOSTILE_CHARACTERS = '"\\{}[],: \n\t\x00\x1f\x7f\x80é٣\u2028\ufeff019-.+eEaAZzTx'
TIMES = (
    "2026-02-29T12:00:00Z",
    "2028-02-29T12:00:00Z",
    "2026-00-01T12:00:00Z",
    "2026-13-01T12:00:00Z",
    "2026-03-00T12:00:00Z",
    "2026-01-32T12:00:00Z",
    "2026-03-01T24:00:00Z",
    "2026-03-01T11:60:00Z",
    "2026-03-01T11:59:60Z",
    "2026-03-01T11:59:59Z",
    "2026-03-01T11:59:59.Z",
    "2026-03-01T11:59:59.1Z",
    "2026-03-01T11:59:59.1234567Z",
    "2026-03-01t11:59:59z",
    "2026-03-01T12:59:59+01:00",
    "0000-03-01T11:59:59Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
    "2026-03-01 11:59:59Z",
    "2026-03-01T11:59:59,5Z",
    "+026-03-01T11:59:59Z",
    "2026-03-01T11:59:5٣Z",
    "Z",
    "",
    "2026-03-01T13:00:00Z",
    "2026-03-01T13:00:00.000001Z",
    "2025-01-25T12:00:00Z",
    "2025-01-25T11:59:59.999999Z",
)
NUMBERS = (
    "0",
    "-0",
    "00",
    "0.",
    ".5",
    "0.0",
    "1e3",
    "1E-5",
    "1e400",
    "-1",
    "+1",
    "0x1",
    "NaN",
    "Infinity",
    "1_0",
    "1.5.2",
    "9" * 30,
    "10000",
    "10000.000001",
    "10000000",
    "0.1234567",
    "0.1000000",
    "999999999999",
    "9999999999999",
    "1" * 5000,
    "true",
    "null",
    "[]",
    "{}",
    '"1e3"',
    '""',
    '" 1"',
    '"1."',
    '".1"',
    '"-1"',
    '"٣"',
    '"0000000000001"',
    '"000000000001"',
    "18446744073709551616",
    "9223372036854775808",
    "1000001",
    "1000000000000001",
    "2.0",
)
TEXTS = (
    "",
    " ",
    " a",
    "a ",
    "x" * 128,
    "x" * 129,
    "x" * 256,
    "x" * 257,
    "x" * 1024,
    "x" * 1025,
    "\\u0041",
    "\\n",
    "\\\\",
    '\\"',
    "\\ud800",
    "\\u0000",
    "\x00",
    "\x1f",
    "\x7f",
    "\x80",
    "\ud800",
    "é",
    "日本",
    "\u2028",
    "\ufeff",
    "{}",
    "[,]:",
    "'",
    "/",
    "~",
    OWN_SOURCE,
    EVENT_ID,
    EVENT_ID.upper(),
    EVENT_ID.replace("-", ""),
    EVENT_ID.replace("0", "g"),
    f"{{{EVENT_ID}}}",
    "00000000-0000-0000-0000-000000000000",
    "00000000-0000-4000-8000-000000000000",
    "00000000-0001-4000-8000-000000000000",
    "0" * 36,
    " 19b76da-a800-79ab-aa7b-5bf55eb561a4",
    "019b76da--a800-79ab-aa7b-5bf55eb561a",
)


def swap(type: str, old: str, new: str) -> bytes:
    text = to_bytes(make_event(type)).decode()
    assert old in text
    return text.replace(old, new).encode("utf-8", "surrogatepass")


def hostile_values() -> Iterator[bytes]:
    """Usage events with one thing that is wrong, or nearly: most are refused, some are good."""
    time, source = "2026-03-01T11:59:59.123456Z", "https://agents.example.com/assistant-1"
    places = [
        (INFERENCE, old) for old in ("sage-3", "eu-1", source, EVENT_ID, "1.0", "application/json", INFERENCE, ACCOUNT)
    ]
    swaps = [(type, old, new) for type, old in [*places, (TOOL_RUN, "ok"), (TOOL_RUN, "search_web")] for new in TEXTS]
    swaps += [(GUARDRAIL, time, new) for new in TIMES]
    swaps += [
        (type, old, new) for type, old in [(INFERENCE, "12,"), (TOOL_RUN, "2,")] for new in (f"{n}," for n in NUMBERS)
    ]
    swaps += [(GUARDRAIL, '"0.000001"', number) for number in NUMBERS]
    swaps += [
        (GUARDRAIL, '"data":{', f'"data":{{{more},')
        for more in (
            '"credits":"1"',
            '"guardrail":"g"',
            '"x":1',
            '"status":"s","status":"s"',
            '"deployment":null',
            '"":""',
            '"runs":null',
            '"cpus":1e3',
            '"seconds":-1',
            '"seconds":"6"',
            '"replicas":100000',
            '"category":"none"',
            '"deployment":5',
            '"deployment":["a"]',
            '"x":' + "[" * 200 + "]" * 200,
        )
    ]
    swaps += [
        (GUARDRAIL, '"data":{', f'{more},"data":{{')
        for more in (
            '"id":"x"',
            '"data":{}',
            '"data":null',
            '"trace":"a","trace":"b"',
            '"Trace":"a"',
            '"trace":1',
            '"trace":null',
            '"trace":true',
            '"data_base64":"e30="',
            '"t-r":"a"',
            '"":"a"',
            '"trace":"\\u0041"',
            f'"{"x" * 64}":""',
            f'"{"x" * 65}":""',
            ",".join(f'"a{n}":""' for n in range(20)),
            '"dataschema":"a"',
            '"time":"2026"',
        )
    ]
    for type, old, new in swaps:
        yield swap(type, old, new)
    whole = to_bytes(make_event(GUARDRAIL))
    yield from (
        b"\xef\xbb\xbf" + whole,
        whole + b"\x00",
        whole + b"{}",
        whole + b"x",
        whole[:-1],
        whole[1:],
        b"[" + whole + b"]",
        whole + b" \r\n\t",
        b" \r\n\t" + whole,
        b"\x0b" + whole,
        whole.replace(b":", b": ", 1),
        b"{}",
        b"null",
        b'""',
        b"1",
        whole.replace(b",", b",,", 1),
        whole.replace(b"}}", b",}}"),
        whole.decode().encode("utf-16"),
        b"\xff" + whole,
        whole.replace(b'"guardrail"', b'"tool"', 1),
        b"{" * 100_000,
        b"[" * 30_000,
        whole + b" " * 70_000,
    )


def misprints(text: str) -> Iterator[str]:
    """Every text with one character left out, doubled, replaced by another or preceded by another."""
    for at, character in enumerate(text):
        before, after = text[:at], text[at + 1 :]
        yield before + after
        yield before + 2 * character + after
        for other in HOSTILE_CHARACTERS:
            yield before + other + after
            yield before + other + character + after
