"""What producers send: the `data` of each input event. Unknown fields are kept, known ones are strict."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema, WrapValidator
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
    MomentOrNone,
    NameOrNone,
    Plan,
    PositiveCredits,
    ResourceName,
    TimeZoneOrNone,
    UsageCredits,
    leave_out,
    read_measure,
    read_runs,
)
from schemas.limits import CATEGORIES, MAX_RUNS, MAX_SECONDS, MAX_SIZE, MAX_TOKENS, Category, ModelType

# JSON Schema of the rule that the reference reader checks; the models read grants that were stored before it.
WHOLE_RUNS: JsonDict = {
    "if": {"properties": {"resource": {"const": "tool_runs"}}, "required": ["resource"]},
    "then": {
        "properties": {"amount": {"anyOf": [{"type": "string", "pattern": r"^[0-9]+(\.0+)?$"}, {"type": "integer"}]}}
    },
}


class EventData(BaseModel):
    """Base of all event data."""

    model_config = ConfigDict(frozen=True, extra="allow", ser_json_inf_nan="strings", defer_build=True)


TokensOrNone = Annotated[
    Annotated[int, Field(strict=True, ge=0, le=MAX_TOKENS), AsSent] | None,
    WrapValidator(leave_out),
    WithJsonSchema(ANYTHING),
]
# For information, like the tokens.
CountOrNone = Annotated[
    Annotated[int, Field(strict=True, ge=0, le=MAX_SIZE), AsSent] | None,
    WrapValidator(leave_out),
    WithJsonSchema(ANYTHING),
]
_AS_NUMBER = PlainSerializer(float, return_type=float, when_used="json-unless-none")
SizeOrNone = Annotated[
    Annotated[Decimal, Field(ge=0, le=MAX_SIZE), BeforeValidator(read_measure), _AS_NUMBER] | None,
    WrapValidator(leave_out),
    WithJsonSchema(ANYTHING),
]
SecondsOrNone = Annotated[
    Annotated[Decimal, Field(ge=0, le=MAX_SECONDS), BeforeValidator(read_measure), _AS_NUMBER] | None,
    WrapValidator(leave_out),
    WithJsonSchema(ANYTHING),
]
CategoryOrNone = Annotated[Category | None, WrapValidator(leave_out), WithJsonSchema(ANYTHING)]
WHAT_FOR = f"What it was for, for information: {', '.join(CATEGORIES)}."
# More than usual ones are for installations that raised the limit of one event.
RUNS_SCHEMA: JsonDict = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": MAX_USAGE // MICRO},
        {"type": "string", "pattern": r"^0*([1-9][0-9]{0,3}|10000)(\.0+)?$"},
    ]
}
Runs = Annotated[
    int,
    Field(strict=True, ge=1, le=MAX_RUNS),
    BeforeValidator(read_runs),
    WithJsonSchema(RUNS_SCHEMA),
]


class ModelInference(EventData):
    """A model answered: costs model credits."""

    credits: UsageCredits
    model: FilledName = Field(description="Name of the model.", examples=["sage-3-large"])
    deployment: NameOrNone = Field(None, description="Where the model ran, for information.")
    input_tokens: TokensOrNone = Field(None, description="Tokens read, for information.")
    output_tokens: TokensOrNone = Field(None, description="Tokens written, for information.")
    category: CategoryOrNone = Field(None, description=WHAT_FOR, examples=["inference"])
    seconds: SecondsOrNone = Field(None, description="How long it ran, for information.", examples=[60])
    hardware: NameOrNone = Field(None, description="What it ran on, for information.", examples=["gpu-large"])
    replicas: CountOrNone = Field(None, description="On how many of them, for information.", examples=[2])


class Guardrail(EventData):
    """A guardrail checked something: costs model credits."""

    credits: UsageCredits
    guardrail: FilledName = Field(description="Name of the guardrail.", examples=["prompt-injection"])
    deployment: NameOrNone = Field(None, description="Where the guardrail ran, for information.")
    seconds: SecondsOrNone = Field(None, description="How long it ran, for information.", examples=[60])
    hardware: NameOrNone = Field(None, description="What it ran on, for information.", examples=["gpu-small"])
    cpus: SizeOrNone = Field(None, description="Number of its CPUs, for information.", examples=[4])


class CustomScript(EventData):
    """A custom script ran: costs model credits."""

    credits: UsageCredits
    script: FilledName = Field(description="Name of the script.", examples=["score-lead"])
    deployment: NameOrNone = Field(None, description="Where the script ran, for information.")
    language: NameOrNone = Field(None, description="Its language, for information.", examples=["python 3.12"])
    category: CategoryOrNone = Field(None, description=WHAT_FOR, examples=["hosting"])
    seconds: SecondsOrNone = Field(None, description="How long it ran, for information.", examples=[60])
    cpus: SizeOrNone = Field(None, description="Number of its virtual CPUs, for information.", examples=[1])
    memory_gb: SizeOrNone = Field(None, description="Its memory in GB, for information.", examples=[2])


class ToolRun(EventData):
    """A tool was called: costs tool runs."""

    tool: FilledName = Field(description="Name of the tool.", examples=["search_web"])
    runs: Runs = Field(1, description="Number of runs.")
    status: NameOrNone = Field(None, description="How it ended, for information.", examples=["ok"])


ItemKind = Literal["model", "guardrail", "script", "tool"]
ItemStatus = Literal["draft", "deploying", "ready_to_deploy", "deployed", "deployment_failed", "undeployed", "deleted"]
TypeOrNone = Annotated[ModelType | None, WrapValidator(leave_out), WithJsonSchema(ANYTHING)]


class ItemChanged(EventData):
    """A model, guardrail, script or tool as it is from now on, used or not. Costs and grants nothing."""

    kind: ItemKind = Field(description="What it is.", examples=["model"])
    id: FilledName = Field(description="What usage carries as model, guardrail, script or tool.")
    name: FilledName = Field(description="Name for people.", examples=["Sage 3 Large"])
    status: ItemStatus = Field(description="How it stands.", examples=["deployed"])
    owner: NameOrNone = Field(None, description="Whose it is, for information; the log holds it encrypted.")
    type: TypeOrNone = Field(None, description="Of a model, for information: base or fine_tuned.", examples=["base"])
    language: NameOrNone = Field(None, description="Of a script, for information.", examples=["python"])
    version: NameOrNone = Field(None, description="Of its language or itself, for information.", examples=["3.12"])
    reason: NameOrNone = Field(None, description="Why its deployment failed, for information.")
    deployed_at: MomentOrNone = Field(
        None, description="When it was last deployed, for information.", examples=["2026-11-24T09:30:00Z"]
    )


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


class AccountForgotten(EventData):
    """Addresses and names of the account are forgotten, those of later events as well. Its usage still counts."""

    reason: FilledName = Field(description="Why, for people; without personal data.", examples=["request of 3 May"])


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
