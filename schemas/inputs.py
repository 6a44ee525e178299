"""What producers send: the `data` of each input event. Unknown fields are kept, known ones are strict."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from schemas.fields import AsSent, Contacts, Credits, EventId, Name, Plan, PositiveCredits, ResourceName

MAX_RUNS = 1_000_000
MAX_TOKENS = 10**15


class EventData(BaseModel):
    """Base of all event data."""

    model_config = ConfigDict(frozen=True, extra="allow", ser_json_inf_nan="strings")


Tokens = Annotated[int, Field(strict=True, ge=0, le=MAX_TOKENS), AsSent]
Runs = Annotated[int, Field(strict=True, ge=1, le=MAX_RUNS), AsSent]


class ModelInference(EventData):
    """A model answered: costs model credits."""

    credits: Credits
    model: Name = Field(description="Name of the model.", examples=["sage-3-large"])
    deployment: Name | None = Field(None, description="Where the model ran.")
    input_tokens: Tokens | None = Field(None, description="Tokens read, for information.")
    output_tokens: Tokens | None = Field(None, description="Tokens written, for information.")


class Guardrail(EventData):
    """A guardrail checked something: costs model credits."""

    credits: Credits
    guardrail: Name = Field(description="Name of the guardrail.", examples=["prompt-injection"])


class CustomScript(EventData):
    """A custom script ran: costs model credits."""

    credits: Credits
    script: Name = Field(description="Name of the script.", examples=["score-lead"])


class ToolRun(EventData):
    """A tool was called: costs tool runs."""

    tool: Name = Field(description="Name of the tool.", examples=["search_web"])
    runs: Runs = Field(1, description="Number of runs.")
    status: Name | None = Field(None, description="How it ended, for information.", examples=["ok"])


class AccountOpened(EventData):
    """A new account. The meter grants the free allowance with it, once."""

    plan: Plan = Field(description="`free` is the free plan.", examples=["free"])
    contacts: Contacts = Field(description="Email addresses to warn; personal data.", examples=[["ann@example.com"]])
    display_name: Name | None = Field(None, description="Name for people.")


class PlanChanged(EventData):
    """The account has another plan from now on."""

    plan: Plan = Field(description="`free` is the free plan.", examples=["team"])


class ContactsChanged(EventData):
    """The account's contacts from now on, all of them."""

    contacts: Contacts = Field(description="Email addresses to warn; personal data.", examples=[["ann@example.com"]])


class CreditsGranted(EventData):
    """Support or billing added credits: a new allocation begins."""

    resource: ResourceName
    amount: PositiveCredits
    reason: Name = Field(description="Why, for people and reports.", examples=["top_up"])
    reference: Name = Field(description="Ticket, invoice or order it belongs to.", examples=["ticket 4711"])


class UsageReversed(EventData):
    """Usage that should not have been counted is given back."""

    resource: ResourceName
    amount: PositiveCredits
    reason: Name = Field(description="Why, for people and reports.", examples=["failed run"])
    reverses: EventId | None = Field(None, description="Event id of the usage, where it is one event.")
