"""What is wrong with what somebody typed for a verb, and what to type instead. Pure.

A rejection tells a producer of its fields ("set subject to the account id"); whoever typed a command knows arguments.
"""

from collections.abc import Container, Mapping
from types import MappingProxyType
from typing import Final

from schemas.limits import MAX_NAME_CHARS
from schemas.reasons import InvalidEventError, Reason
from schemas.records import Remark, place_of

UNREAD: Final = "cannot be read"
NEXT: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.INVALID_SUBJECT: "An account id is 1 to 128 of A-Z a-z 0-9 . _ : @ -",
        Reason.INVALID_ID: "An event id is 1 to 128 printable ASCII characters.",
        Reason.INVALID_AMOUNT: "Give an amount like 0.25: more than 0, at most 10000000, with at most 6 decimals; tool "
        "runs are whole.",
        Reason.INVALID_CONTACTS: "Give plain addresses like name@example.com, without a name beside them, each once.",
        Reason.INVALID_TEXT: "Leave out control characters, tabs and line ends.",
        Reason.INVALID_DATA: "Correct it and repeat.",
        Reason.TOO_LARGE: "Make the texts shorter.",
    }
)


# What an option does about it, for the verbs that have it.
WITH_OPTION: Final[Mapping[Reason, tuple[str, str]]] = MappingProxyType(
    {
        Reason.INVALID_ID: ("--event-id", " Without --event-id one is made."),
        Reason.INVALID_CONTACTS: ("--none", " --none takes all contacts away."),
    }
)


def describe_fault(error: InvalidEventError, options: Container[str]) -> str:
    """`options` are those of the verb: none that it does not have is named."""
    advice = NEXT.get(error.reason, error.reason.advice)
    option, more = WITH_OPTION.get(error.reason, ("", ""))
    return f"{error.reason.value}: {error.detail}. Nothing is sent. {advice}{more if option in options else ''}"


def describe_left_out(remark: Remark) -> str:
    """Of what the meter would leave out of an event: whoever typed it can put it right."""
    why = remark.reason
    if why == UNREAD:
        why = f"is blank, longer than {MAX_NAME_CHARS} characters, or has control characters"
    return f"{place_of(remark.field)} {why}"
