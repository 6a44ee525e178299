"""Why a record is rejected, and what to do next."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Reason(StrEnum):
    UNDECODABLE = "undecodable"
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    DUPLICATE_KEY = "duplicate_key"
    TOO_DEEP = "too_deep"
    INVALID_TEXT = "invalid_text"
    NOT_CLOUDEVENTS = "not_cloudevents"
    UNKNOWN_TYPE = "unknown_type"
    WRONG_TOPIC = "wrong_topic"
    INVALID_ID = "invalid_id"
    SOURCE_RESERVED = "source_reserved"
    INVALID_SUBJECT = "invalid_subject"
    KEY_MISMATCH = "key_mismatch"
    WRONG_PARTITION = "wrong_partition"
    INVALID_TIME = "invalid_time"
    TIME_AHEAD = "time_ahead"
    TIME_BEHIND = "time_behind"
    INVALID_DATA = "invalid_data"
    INVALID_AMOUNT = "invalid_amount"
    AMOUNT_ABOVE_LIMIT = "amount_above_limit"
    SOURCE_NOT_ALLOWED = "source_not_allowed"
    INVALID_CONTACTS = "invalid_contacts"
    ID_REUSED = "id_reused"
    REVERSES_UNKNOWN = "reverses_unknown"
    REVERSES_AMBIGUOUS = "reverses_ambiguous"
    REVERSES_OTHER_RESOURCE = "reverses_other_resource"
    REVERSES_TOO_MUCH = "reverses_too_much"
    REVOKES_UNKNOWN = "revokes_unknown"
    REVOKES_AMBIGUOUS = "revokes_ambiguous"
    REVOKES_OTHER_RESOURCE = "revokes_other_resource"
    REVOKES_TOO_MUCH = "revokes_too_much"
    UNSTORABLE = "unstorable"

    @property
    def advice(self) -> str:
        """One sentence for whoever has to put it right."""
        return ADVICE[self]

    @property
    def is_final(self) -> bool:
        """Whether no replay can help: there is no event in these records, whenever they are read."""
        return self in FINAL


class InvalidEventError(ValueError):
    """An event breaks the contract; `reason` and `detail` say where, `reason.advice` what to do."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}. {reason.advice}")
        self.reason = reason
        self.detail = detail


FINAL: Final = frozenset({Reason.UNDECODABLE, Reason.EMPTY, Reason.TOO_LARGE})

ADVICE: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.UNDECODABLE: "Find out which client wrote it: it breaks Kafka's own format, or packs more than any "
        "honest producer does. Send its events again with a sound client.",
        Reason.EMPTY: "Send one CloudEvent per record; deleting by an empty record has no meaning on these topics.",
        Reason.TOO_LARGE: "Keep a record's value and headers below the limit; large payloads do not belong in events.",
        Reason.NOT_JSON: "Send UTF-8 JSON without a byte order mark, NaN or Infinity.",
        Reason.DUPLICATE_KEY: "Give every JSON key and every ce_ header once: of two equal keys, some readers take the "
        "first and some the last.",
        Reason.TOO_DEEP: "Flatten the data: JSON may nest at most 32 levels deep.",
        Reason.INVALID_TEXT: "Remove NUL and control characters and unpaired surrogates, and encode text as UTF-8.",
        Reason.NOT_CLOUDEVENTS: "Send CloudEvents 1.0 in Kafka's structured JSON mode or binary mode, with every "
        "required attribute; a CloudEvents SDK does this.",
        Reason.UNKNOWN_TYPE: "Use a type of the published schemas; upgrade this service first if the type is new.",
        Reason.WRONG_TOPIC: "Send usage to metering.usage, and accounts, grants and reversals to metering.accounts.",
        Reason.INVALID_ID: "Give every event an id of its own, 1 to 128 printable ASCII characters (best a UUID of "
        "version 7), and repeat it only when retrying.",
        Reason.SOURCE_RESERVED: "Set source to what names the producer; the meter's own is for the events it derives.",
        Reason.INVALID_SUBJECT: "Set subject to the account id: 1 to 128 characters of A-Z a-z 0-9 . _ : @ -",
        Reason.KEY_MISMATCH: "Use the account id, exactly as in subject, as the Kafka key.",
        Reason.WRONG_PARTITION: "It was sent on once and is in a wrong partition again: something copies records from "
        "one partition to another. A replay puts it on the right one (librdkafka: partitioner=murmur2_random).",
        Reason.INVALID_TIME: "Set time to an RFC 3339 date and time with its offset, like 2026-01-31T12:00:00Z.",
        Reason.TIME_AHEAD: "Correct the producer's clock. A replay helps once that time has come. "
        "METERING_MAX_AHEAD_S (one hour by default) says how far ahead is taken.",
        Reason.TIME_BEHIND: "Correct the producer's clock; for usage that really is that old raise "
        "METERING_MAX_BEHIND_S (400 days by default), then replay.",
        Reason.INVALID_DATA: "Whoever sends it corrects the field that the detail names, and sends it with a new id; "
        "replaying cannot help. schemas/json says what each field takes.",
        Reason.INVALID_AMOUNT: "Correct the amount as the detail says. An amount is a decimal number like 0.25: not "
        "negative, at most 6 decimals that are not zero, at most 10000000.",
        Reason.AMOUNT_ABOVE_LIMIT: "Check the unit: amounts are credits and runs, not millionths of them. For events "
        "that really are that large raise METERING_MAX_USAGE_CREDITS or METERING_MAX_USAGE_RUNS, then replay.",
        Reason.SOURCE_NOT_ALLOWED: "Correct the account or the source; where the source really may charge the account, "
        "say so in METERING_ALLOWED_SOURCES, then replay.",
        Reason.INVALID_CONTACTS: "Give at least one plain address like name@example.com, without a display name; an "
        "empty list takes all contacts away.",
        Reason.ID_REUSED: "Find out which of the two is right. If this one is to count as well, send it again with "
        "an id of its own; replaying cannot help.",
        Reason.REVERSES_UNKNOWN: "Compare the id and the account with those of the usage. All usage that was sent "
        "before has been read: if that event was sent since, replay.",
        Reason.REVERSES_AMBIGUOUS: "Send it again with an id of its own, and say in reverses_source whose event is "
        "meant.",
        Reason.REVERSES_OTHER_RESOURCE: "Send it again with an id of its own and the resource of the event it "
        "reverses.",
        Reason.REVERSES_TOO_MUCH: "Usage is reversed once: find out who did. For what is left of the event send "
        "another reversal with an id of its own; replaying cannot help.",
        Reason.REVOKES_UNKNOWN: "Compare the id in revokes and the account with those of the grant, or leave revokes "
        "out to take from all grants.",
        Reason.REVOKES_AMBIGUOUS: "Several grants of the account have this id. Send it again with an id of its own and "
        "without revokes: it then takes from all grants.",
        Reason.REVOKES_OTHER_RESOURCE: "Send it again with an id of its own and the resource of the grant it revokes.",
        Reason.REVOKES_TOO_MUCH: "Nothing that was not granted can be taken back. For what is left send another "
        "revocation with an id of its own; replay only if a grant has come since.",
        Reason.UNSTORABLE: "The database refused a value, or a check failed, see the detail; report it. Replay once a "
        "version that can judge it runs.",
    }
)
