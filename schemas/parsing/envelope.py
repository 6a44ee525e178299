"""CloudEvents 1.0 out of a Kafka record, structured or binary, checked strictly. Used by the reference reader.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

import binascii
import codecs
import json
import re
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from schemas.amounts import Number
from schemas.identity import MAX_ID_CHARS, MAX_SOURCE_CHARS, NIL_ID, OWN_SOURCE, is_id, normalize_id
from schemas.parsing.json_text import Member, check_text, read_object
from schemas.reasons import InvalidEventError, Reason
from schemas.times import parse_time

JSON_TYPE: Final = "application/json"
STRUCTURED_TYPE: Final = "application/cloudevents+json"

ATTRIBUTE_PATTERN: Final = "[a-z0-9]{1,64}"
ATTRIBUTE: Final = re.compile(ATTRIBUTE_PATTERN)
MAX_ACCOUNT_CHARS: Final = 128
ACCOUNT: Final = re.compile(rf"[A-Za-z0-9._:@-]{{1,{MAX_ACCOUNT_CHARS}}}")
# ASCII: without it `ſ` would be a small s.
_JSON_MEDIA: Final = re.compile(r"(?:application|text)/(?:[a-z0-9.-]+\+)?json[ \t]*(?:;.*)?", re.IGNORECASE | re.ASCII)
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")
_CORE: Final = frozenset({"specversion", "id", "source", "type", "subject", "time", "datacontenttype"})


@dataclass(frozen=True, slots=True)
class Attributes:
    """The attributes and the data of an event. `data` is None where the data is JSON but not an object."""

    members: Mapping[str, Member]
    data: Mapping[str, Member] | None
    data_text: str

    def text(self, name: str, reason: Reason) -> str:
        """A required attribute. Raises InvalidEventError with `reason`."""
        member = self.members.get(name)
        if member is None or not isinstance(member.value, str) or not member.value:
            raise InvalidEventError(reason, f"{name} is missing or not text")
        return member.value

    def extensions(self) -> str | None:
        """JSON object text of the attributes beyond the core, as sent; None where there are none."""
        others = [f"{json.dumps(name)}:{member.raw}" for name, member in self.members.items() if name not in _CORE]
        return "{" + ",".join(others) + "}" if others else None


def read_attributes(value: bytes, headers: Sequence[tuple[str, bytes | None]]) -> Attributes:
    """Attributes and data of a record in either mode: CloudEvents 1.0 with JSON data. Raises InvalidEventError."""
    names = [name.lower() for name, _ in headers]
    content_type = next((v for name, (_, v) in zip(names, headers, strict=True) if name == "content-type"), None)
    media = _decode(content_type, "the content-type header") if content_type else ""
    if media.lower().startswith("application/cloudevents"):
        if not re.match(r"application/cloudevents\+json[ \t]*(;|$)", media, re.IGNORECASE):
            raise InvalidEventError(Reason.NOT_CLOUDEVENTS, f"content type {media[:100]!a}: only JSON, one by one")
        return _read_structured(value)
    if any(name.startswith("ce_") for name in names):
        return _read_binary(value, media, headers)
    try:
        return _read_structured(value)
    except InvalidEventError:
        _explain_prefix(names)
        raise


def _explain_prefix(names: Sequence[str]) -> None:
    """Raise InvalidEventError where headers show that binary mode was meant, with the prefix of HTTP or AMQP."""
    for name in names:
        if name.startswith(("ce-", "cloudevents:")):
            detail = f"header {name[:64]!a}: Kafka's binary mode wants the prefix ce_, like ce_id"
            raise InvalidEventError(Reason.NOT_CLOUDEVENTS, detail)


def _read_structured(value: bytes) -> Attributes:
    members = read_object(_decode_json(value), unchecked=("data",))
    if members is None:
        raise InvalidEventError(Reason.NOT_CLOUDEVENTS, "the value is JSON, but not an object")
    members = {name: member for name, member in members.items() if member.value is not None or name == "data"}
    data = members.pop("data", None)
    encoded = members.pop("data_base64", None)
    _check_attributes(members)
    if encoded is not None:
        if data is not None:
            raise InvalidEventError(Reason.NOT_CLOUDEVENTS, "data and data_base64 are both given")
        return _with_data(members, _decode_json(_decode_base64(encoded.value)))
    if data is None:
        raise InvalidEventError(Reason.INVALID_DATA, "data is missing")
    return _with_data(members, data.raw)


def _read_binary(value: bytes, media: str, headers: Sequence[tuple[str, bytes | None]]) -> Attributes:
    members: dict[str, Member] = {}
    for name, raw in headers:
        attribute = name.lower().removeprefix("ce_")
        if attribute == name.lower() or raw is None:
            continue
        if attribute in members:
            raise InvalidEventError(Reason.DUPLICATE_KEY, f"header {name[:64]!a} is repeated")
        text = _decode(raw, f"header {name[:64]!a}")
        check_text((text,))
        members[attribute] = Member(text, json.dumps(text, ensure_ascii=False))
    if media:
        members["datacontenttype"] = Member(media, "")
    _check_attributes(members)
    return _with_data(members, _decode_json(value))


def _check_attributes(members: Mapping[str, Member]) -> None:
    version = members.get("specversion")
    if version is None or version.value != "1.0":
        raise InvalidEventError(Reason.NOT_CLOUDEVENTS, 'specversion is not "1.0"')
    for name, member in members.items():
        if not ATTRIBUTE.fullmatch(name):
            raise InvalidEventError(Reason.NOT_CLOUDEVENTS, f"{name[:64]!a} is no attribute name")
        if not isinstance(member.value, str | bool | Number):
            raise InvalidEventError(Reason.NOT_CLOUDEVENTS, f"attribute {name} is neither text, number nor boolean")
    content_type = members.get("datacontenttype")
    if content_type is not None and not (
        isinstance(content_type.value, str) and _JSON_MEDIA.fullmatch(content_type.value)
    ):
        raise InvalidEventError(Reason.INVALID_DATA, "datacontenttype is not JSON")


class _Everything:
    def __contains__(self, _name: object) -> bool:
        return True


def _with_data(members: Mapping[str, Member], text: str) -> Attributes:
    """The texts of the data are looked at later, by fields: what is for information is left out."""
    return Attributes(members, read_object(text, unchecked=_Everything()), text.strip(" \t\n\r"))


def read_type(attributes: Attributes) -> str:
    return attributes.text("type", Reason.NOT_CLOUDEVENTS)


def read_id(attributes: Attributes) -> str:
    """The id as sent, a UUID in lower case. Raises InvalidEventError.

    The nil UUID is refused: a broken producer sends it for every event, and all but one would be dropped.
    """
    text = attributes.text("id", Reason.INVALID_ID)
    if text == NIL_ID:
        raise InvalidEventError(Reason.INVALID_ID, "id is the nil UUID, which broken producers send for every event")
    if not is_id(text):
        detail = f"id {text[:64]!a} is not 1 to {MAX_ID_CHARS} printable ASCII characters"
        raise InvalidEventError(Reason.INVALID_ID, detail)
    return normalize_id(text)


def read_subject(attributes: Attributes) -> str:
    text = attributes.text("subject", Reason.INVALID_SUBJECT)
    if not ACCOUNT.fullmatch(text):
        raise InvalidEventError(Reason.INVALID_SUBJECT, f"subject {text[:64]!a} is not an account id")
    return text


def read_source(attributes: Attributes) -> str:
    text = attributes.text("source", Reason.NOT_CLOUDEVENTS)
    if len(text) > MAX_SOURCE_CHARS or _CONTROL.search(text):
        raise InvalidEventError(
            Reason.NOT_CLOUDEVENTS, f"source is longer than {MAX_SOURCE_CHARS} characters or has control characters"
        )
    return text


def read_foreign_source(attributes: Attributes) -> str:
    """The source of an event from outside: the meter's own is refused."""
    source = read_source(attributes)
    if source == OWN_SOURCE:
        raise InvalidEventError(Reason.SOURCE_RESERVED, f"source {OWN_SOURCE} is the meter's own")
    return source


def read_time(attributes: Attributes) -> datetime:
    text = attributes.text("time", Reason.INVALID_TIME)
    try:
        return parse_time(text)
    except ValueError as error:
        raise InvalidEventError(Reason.INVALID_TIME, f"time {text[:64]!a}: {error}") from None


def read_data(attributes: Attributes) -> dict[str, Any]:
    if attributes.data is None:
        raise InvalidEventError(Reason.INVALID_DATA, "data is not a JSON object")
    return {name: member.value for name, member in attributes.data.items()}


def _decode(raw: bytes, what: str, reason: Reason = Reason.INVALID_TEXT) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidEventError(reason, f"{what} is not UTF-8 at byte {error.start}") from None


def _decode_json(raw: bytes) -> str:
    if (found := _find_encoding(raw)) is not None:
        raise InvalidEventError(Reason.NOT_JSON, f"the JSON {found}; send UTF-8 without a byte order mark")
    return _decode(raw, "the JSON", Reason.NOT_JSON)


def _decode_base64(value: Any) -> bytes:
    try:
        return b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        raise InvalidEventError(Reason.INVALID_DATA, "data_base64 is not base64") from None


def header_bytes(headers: Iterable[tuple[str, bytes | None]]) -> int:
    return sum(len(name) + len(value or b"") for name, value in headers)


def _find_encoding(raw: bytes) -> str | None:
    """What a client's library did to sound JSON: to be said in the place of a character that looks right to people."""
    if raw.startswith(codecs.BOM_UTF8):
        return "begins with a byte order mark"
    if (
        raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or 0 in raw[:4]
    ):  # UTF-32 begins with one or the other
        return "is UTF-16 or UTF-32"
    return None
