"""What makes two events the same event: topic, account, source and id, as CloudEvents says of source and id.

The account and the topic are part of it so that one account's events never block another's, nor usage an opening.
"""

import re
from functools import lru_cache
from hashlib import sha256
from typing import Final

OWN_SOURCE: Final = "/credit-meter/meter"  # of the events that the meter derives; nobody else may use it
VERBS_SOURCE: Final = "/credit-meter/cli"  # of what support sends with the verbs of `meter`

MAX_ID_CHARS: Final = 128
MAX_SOURCE_CHARS: Final = 1024
NIL_ID: Final = "00000000-0000-0000-0000-000000000000"
# Printable ASCII; blanks alone are no id.
ID_PATTERN: Final = "^[ -~]*[!-~][ -~]*$"
NO_TIME: Final = "00000000-0000-"  # how a UUID begins that is treated as a text
KEY_BYTES: Final = 32
FIRST_UUID_KEY: Final = bytes(5) + b"\x01"  # keys below it are of texts, the others begin with their UUID

_match_id: Final = re.compile(rf"(?=.*[!-~])[ -~]{{1,{MAX_ID_CHARS}}}").fullmatch
is_uuid: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}").fullmatch


def is_id(text: str) -> bool:
    """Whether the text may be an event's id: 1 to 128 printable ASCII characters, and not the nil UUID."""
    return _match_id(text) is not None and text != NIL_ID


def normalize_id(text: str) -> str:
    """One spelling per id: a UUID is the same id in any case, every other id is taken byte by byte."""
    return text.lower() if is_uuid(text) else text


def identity_key(topic: str, account_id: str, source: str, event_id: str) -> bytes:
    """The 32 bytes by which the event store knows an event; `event_id` is normalized."""
    if is_uuid(event_id) and not event_id.startswith(NO_TIME):
        return uuid_key(event_id, hash_account(topic, account_id), hash_source(source))
    return text_key(topic, account_id, source, event_id)


def uuid_key(uuid: str, account: int, source: int) -> bytes:
    """The 16 bytes of the UUID, so that version 7 is inserted at the right edge of the index; then 128 bits of hash.

    Two hashes, one of topic and account and one of the source, because both repeat and are remembered. Pairs of them
    repeat too seldom where each agent is a source, and a hash of all four would be computed for every event.
    """
    return bytes.fromhex(uuid.replace("-", "")) + (account ^ source).to_bytes(16)


def text_key(topic: str, account_id: str, source: str, event_id: str) -> bytes:
    """6 zeros where a UUID has its time (one that has zeros there too is a text here), then 208 bits of a hash.

    No part can hold the NUL that joins them.
    """
    return bytes(6) + sha256(f"{topic}\0{account_id}\0{source}\0{event_id}".encode()).digest()[:26]


def hash_account(topic: str, account_id: str) -> int:
    """128 bits."""
    return int.from_bytes(sha256(f"{topic}\0{account_id}".encode()).digest()[:16])


@lru_cache(4_096)
def hash_source(source: str) -> int:
    """128 bits."""
    return int.from_bytes(sha256(source.encode()).digest()[:16])
