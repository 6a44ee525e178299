"""What producers send: the `data` of each input event. Unknown fields are kept, known ones are strict."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, WrapValidator
from pydantic.config import JsonDict

from schemas.amounts import MAX_USAGE, MICRO
from schemas.fields import (
    ANYTHING,
    ID_SCHEMA,
    AsSent,
    Contacts,
    EventId,
    EventSource,
    FilledName,
    NameOrNone,
    Plan,
    PositiveCredits,
    ResourceName,
    TimeZoneOrNone,
    UsageCredits,
    leave_out,
)

MAX_RUNS = 1_000_000
MAX_TOKENS = 10**15
# JSON Schema of the rule that the reference reader checks; the models read grants that were stored before it.
WHOLE_RUNS: JsonDict = {
    "if": {"properties": {"resource": {"const": "tool_runs"}}, "required": ["resource"]},
    "then": {
        "properties": {"amount": {"anyOf": [{"type": "string", "pattern": r"^[0-9]+(\.0+)?$"}, {"type": "integer"}]}}
    },
}


class EventData(BaseModel):
    """Base of all event data."""

    model_config = ConfigDict(frozen=True, extra="allow", ser_json_inf_nan="strings")


TokensOrNone = Annotated[
    Annotated[int, Field(strict=True, ge=0, le=MAX_TOKENS), AsSent] | None,
    WrapValidator(leave_out),
    WithJsonSchema(ANYTHING),
]
# More than usual ones are for installations that raised the limit of one event.
Runs = Annotated[
    int,
    Field(strict=True, ge=1, le=MAX_RUNS),
    AsSent,
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_USAGE // MICRO}),
]


class ModelInference(EventData):
    """A model answered: costs model credits."""

    credits: UsageCredits
    model: FilledName = Field(description="Name of the model.", examples=["sage-3-large"])
    deployment: NameOrNone = Field(None, description="Where the model ran, for information.")
    input_tokens: TokensOrNone = Field(None, description="Tokens read, for information.")
    output_tokens: TokensOrNone = Field(None, description="Tokens written, for information.")


class Guardrail(EventData):
    """A guardrail checked something: costs model credits."""

    credits: UsageCredits
    guardrail: FilledName = Field(description="Name of the guardrail.", examples=["prompt-injection"])


class CustomScript(EventData):
    """A custom script ran: costs model credits."""

    credits: UsageCredits
    script: FilledName = Field(description="Name of the script.", examples=["score-lead"])


class ToolRun(EventData):
    """A tool was called: costs tool runs."""

    tool: FilledName = Field(description="Name of the tool.", examples=["search_web"])
    runs: Runs = Field(1, description="Number of runs.")
    status: NameOrNone = Field(None, description="How it ended, for information.", examples=["ok"])


class AccountOpened(EventData):
    """A new account. The meter grants the free allowance with it, once."""

    plan: Plan = Field(description="`free` is the free plan.", examples=["free"])
    contacts: Contacts = Field(description="Email addresses to warn; personal data.", examples=[["ann@example.com"]])
    display_name: NameOrNone = Field(None, description="Name for people. A blank one is left out.")
    time_zone: TimeZoneOrNone = Field(None, description="IANA time zone of its days.", examples=["Europe/Berlin"])


class AccountRenamed(EventData):
    """The account has another name or time zone from now on. What is absent stays as it was."""

    display_name: NameOrNone = Field(None, description="Name for people. A blank one is left out.")
    time_zone: TimeZoneOrNone = Field(None, description="IANA time zone of its days.", examples=["Europe/Berlin"])


class AccountClosed(EventData):
    """The account is allowed nothing from now on. Its usage still counts, and what was granted stays granted."""


class AccountReopened(EventData):
    """A closed account is open again. Nothing is granted."""


class PlanChanged(EventData):
    """The account has another plan from now on."""

    plan: Plan = Field(description="`free` is the free plan.", examples=["team"])


class ContactsChanged(EventData):
    """The account's contacts from now on, all of them."""

    contacts: Contacts = Field(description="Email addresses to warn; personal data.", examples=[["ann@example.com"]])


class CreditsGranted(EventData):
    """Support or billing added credits: a new allocation begins. Tool runs are whole."""

    model_config = ConfigDict(json_schema_extra=WHOLE_RUNS)

    resource: ResourceName
    amount: PositiveCredits
    reason: FilledName = Field(description="Why, for people and reports.", examples=["top_up"])
    reference: FilledName = Field(description="Ticket, invoice or order it belongs to.", examples=["ticket 4711"])


class CreditsRevoked(EventData):
    """A grant is taken back, in whole or in part: a new allocation begins. Tool runs are whole."""

    model_config = ConfigDict(json_schema_extra=WHOLE_RUNS)

    resource: ResourceName
    amount: PositiveCredits
    reason: FilledName = Field(description="Why, for people and reports.", examples=["chargeback"])
    reference: FilledName = Field(description="Ticket, invoice or order it belongs to.", examples=["ticket 4712"])
    revokes: EventId | None = Field(None, description="Event id of the grant, where it is one grant.")


# Reversals that were stored before they had to name an event may have no `reverses`: the model reads them, and the
# reference reader refuses new ones.
NAMED_USAGE: JsonDict = {**WHOLE_RUNS, "required": ["resource", "amount", "reason", "reverses"]}


class UsageReversed(EventData):
    """Usage that should not have been counted is given back: of one event, at most what is left of it.

    Tool runs are whole.
    """

    model_config = ConfigDict(json_schema_extra=NAMED_USAGE)

    resource: ResourceName
    amount: PositiveCredits
    reason: FilledName = Field(description="Why, for people and reports.", examples=["failed run"])
    reverses: Annotated[EventId | None, WithJsonSchema(ID_SCHEMA)] = Field(
        None, description="Event id of the usage, of the same account and resource."
    )
    reverses_source: EventSource | None = Field(
        None, description="Source of that event, where several sources used its id for the account."
    )
