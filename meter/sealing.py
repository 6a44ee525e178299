"""Addresses, names and owners of items in stored events: sealed with a key of their account, opened by readers. Pure.

An event with personal data is stored as what everybody may know of it (plan, time zone, how many contacts; of an item
all but its owner) and a token, in which all of its data is encrypted. The chain covers this form, so throwing the key
away forgets a person and leaves the chain whole. Events stored before sealing began have no token, and are read as they
are.
"""

import json
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Any, Final

from schemas.codes import CODES, ITEM_CODE
from schemas.contacts import FIELD
from schemas.stored_json import read_stored_json
from schemas.zones import find_zone

FORGOTTEN_CODE: Final = CODES["account.forgotten.v1"]

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12  # random for each event: an account has far fewer than the 2^32 events that this is safe for
FORGOTTEN_KEY: Final = b""  # in place of the key of an account that was forgotten
MEMBER: Final = "sealed"  # of stored data: holds the token
OWNER: Final = "owner"
# What everybody may know of an item, where it is text.
ITEM_FIELDS: Final = ("kind", "id", "name", "status", "type", "language", "version", "reason", "deployed_at")
_VERSION: Final = "1:"  # begins every token: AES-256-GCM over the UTF-8 text of the data, the account is authenticated
_FORGOTTEN: Final = "forgotten"  # the token of what came after the account was forgotten: nothing is kept of it


class SealBrokenError(Exception):
    """A token that the key of its account does not open: the log or the table of keys was changed."""


def needs_sealing(type: int, data: str) -> bool:
    """Of data of a type in PERSONAL_CODES: an item that has no owner stays as it was sent."""
    if type != ITEM_CODE:
        return True
    value = read_stored_json(data)
    return isinstance(value, dict) and (value.get(OWNER) is not None or MEMBER in value)


def seal(type: int, data: str, account_id: str, key: bytes, nonce: bytes) -> str:
    """The form in which data that needs sealing is stored. Raises UnicodeEncodeError for lone surrogates."""
    value = read_stored_json(data)
    if key == FORGOTTEN_KEY:
        return _join(_public(type, value, contacts=0), _FORGOTTEN)
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # most verbs that judge events seal none

    listed = value.get(FIELD) if isinstance(value, dict) else None
    public = _public(type, value, contacts=len(listed) if isinstance(listed, list) else 0)
    sealed = AESGCM(key).encrypt(nonce, data.encode(), account_id.encode())
    return _join(public, _VERSION + b64encode(nonce + sealed).decode())


def unseal(type: int, data: str, account_id: str, key: bytes | None) -> str:
    """The data as it was sent; without addresses, names and owners where the account was forgotten.

    `key` is None where the account has none: what is stored in clear is read as it is. Raises SealBrokenError, but not
    of an item: one stored before owners were sealed may have a member of our name, and may end no service by that.
    """
    if key is None and f'"{MEMBER}"' not in data:
        return data
    value = read_stored_json(data)
    token = value.get(MEMBER) if isinstance(value, dict) else None
    if not key:
        return data if key is None and not _is_token(token) else without_people(type, data)
    if not isinstance(token, str) or not token.startswith(_VERSION):
        return data
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        sealed = b64decode(token[len(_VERSION) :], validate=True)
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], account_id.encode()).decode()
    except (InvalidTag, ValueError, Base64Error) as error:
        if type == ITEM_CODE:
            return data
        raise SealBrokenError(f"the personal data of {account_id} does not open with the key of the account") from error


def without_people(type: int, data: str) -> str:
    """What is left of data when the account is forgotten."""
    return _join(_public(type, read_stored_json(data), contacts=0), None)


def is_sealed(data: str) -> bool:
    """Whether stored data holds no address or name that anybody could read without a key."""
    value = read_stored_json(data)
    return isinstance(value, dict) and _is_token(value.get(MEMBER))


def is_clear(type: int, data: str) -> bool:
    """Whether data of a type in PERSONAL_CODES was stored as it was sent, and may name somebody; it may have had a
    member of our name."""
    value = read_stored_json(data)
    if type == ITEM_CODE:
        return isinstance(value, dict) and value.get(OWNER) is not None
    if not isinstance(value, dict) or not _is_token(value.get(MEMBER)):
        return True
    contacts = value.get(FIELD, [])
    if not isinstance(contacts, list):
        return True
    return not value.keys() <= {"plan", "time_zone", FIELD, MEMBER} or any(one is not None for one in contacts)


def _is_token(token: object) -> bool:
    return isinstance(token, str) and (token == _FORGOTTEN or token.startswith(_VERSION))


def _public(type: int, value: Any, *, contacts: int) -> dict[str, Any]:
    """Fields that name nobody, as they were sent. A text that is no time zone could hold anything."""
    sent: Mapping[str, Any] = value if isinstance(value, dict) else {}
    if type == ITEM_CODE:
        return {name: sent[name] for name in ITEM_FIELDS if isinstance(sent.get(name), str)}
    plan, zone = sent.get("plan"), sent.get("time_zone")
    public: dict[str, Any] = {}
    if isinstance(plan, str):
        public["plan"] = plan
    if isinstance(zone, str) and find_zone(zone) is not None:
        public["time_zone"] = zone
    if isinstance(sent.get(FIELD), list):
        public[FIELD] = [None] * contacts  # the number alone: who was warned of what can still be verified
    return public


def _join(public: Mapping[str, Any], token: str | None) -> str:
    return json.dumps(dict(public) if token is None else {**public, MEMBER: token}, separators=(",", ":"))
