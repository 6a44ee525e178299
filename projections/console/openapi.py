"""The OpenAPI document of the JSON under /v1."""

from typing import Any, Final, get_args

from projections.console.periods import DEFAULT, LABELS
from projections.console.tabs import KINDS
from schemas.fields import ACCOUNT_PATTERN
from schemas.outputs import BannerKind
from schemas.resources import Resource

TEXT: Final = {"type": "string"}
AMOUNT: Final = {"type": "string", "description": "exact decimal text of credits or runs", "examples": ["12.5"]}
TIME: Final = {"type": "string", "format": "date-time"}
DAY: Final = {"type": "string", "format": "date"}
FLAG: Final = {"type": "boolean"}


def one_of(*values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)}


def maybe(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def thing(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def many(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


RESOURCE: Final = one_of(*(resource.value for resource in Resource))
STATUS: Final = one_of("good", "moderate", "low", "exhausted")
KIND: Final = one_of(*(kind for kind, _ in KINDS.values()))
USAGE_KIND: Final = one_of(*(kind for _, kind in KINDS.values()), "reversal")
BANNER: Final = thing(
    key={"type": "string", "description": "what was closed: another level or epoch has another"}, resource=RESOURCE,
    threshold={"type": "integer"}, kind=one_of(*get_args(BannerKind)), removable=FLAG, text=TEXT,
    epoch={"type": "integer"}, raised_at=TIME,
)  # fmt: skip
RUNWAY: Final = maybe(thing(per_hour=AMOUNT, empty_at=TIME, text=TEXT, used_by_midnight=AMOUNT))
SHARE: Final = thing(
    resource=RESOURCE, name=TEXT, allocation=AMOUNT, consumed=AMOUNT, remaining=AMOUNT, exhaustion=maybe(AMOUNT),
    left_percent=AMOUNT, used_text=TEXT, left_text=TEXT, status=STATUS, allowed=FLAG, epoch={"type": "integer"},
    free_only=FLAG, exhausted_since=maybe(TIME), exhausted_since_text=maybe(TEXT), runway=RUNWAY,
)  # fmt: skip
SUMMARY: Final = thing(
    account_id=TEXT, display_name=maybe(TEXT), plan=maybe(TEXT),
    state=one_of("not_opened", "open", "closed"), time_zone=maybe(TEXT), status=STATUS,
    sentence=TEXT, as_of=maybe(TIME), stale=FLAG, unused=FLAG, resources=many(SHARE), banners=many(BANNER),
    links=thing(billing=maybe(TEXT), support=maybe(TEXT)),
    may_buy={"type": "boolean", "description": "whether the token is of somebody who can buy credits"},
    actions={"type": "object", "additionalProperties": TEXT,
             "description": "by the `kind` of a banner: the words of its link to `links.billing`, or who can buy"},
)  # fmt: skip
PERIOD: Final = thing(
    name=TEXT, **{"from": TIME}, until=TIME, first_day=DAY, last_day=DAY, unit=one_of("hour", "day"),
    time_zone=TEXT,
)  # fmt: skip
USED: Final = thing(
    resource=RESOURCE, kind=USAGE_KIND, item=TEXT, deployment=TEXT, category=TEXT, status=TEXT,
    events={"type": "integer"}, amount=AMOUNT, tokens_in=AMOUNT, tokens_out=AMOUNT, seconds=AMOUNT, last_used=TIME,
)  # fmt: skip
USAGE: Final = thing(
    period=PERIOD, usage=many(USED), points=many(thing(at=TIME, resource=RESOURCE, kind=USAGE_KIND, amount=AMOUNT))
)
ITEM: Final = thing(
    kind=KIND, id=TEXT, name=TEXT, status=maybe(TEXT), owner=maybe(TEXT), type=maybe(TEXT), language=maybe(TEXT),
    version=maybe(TEXT), reason=maybe(TEXT), deployed_at=maybe(TIME), deployment=TEXT, first_used=maybe(TIME),
    hardware=maybe(TEXT), replicas=maybe({"type": "integer"}), cpus=maybe(AMOUNT), memory_gb=maybe(AMOUNT), told=FLAG,
)  # fmt: skip
ALLOWED: Final = thing(
    allowed=FLAG,
    code=one_of(
        "allowed", "account_not_opened", "account_closed", *(f"{resource.value}_exhausted" for resource in Resource)
    ),
    resources={"type": "object", "additionalProperties": FLAG},
    stale=FLAG,
)
ERROR: Final = thing(code=TEXT, detail=TEXT)
ANSWERS: Final = {
    "summary": ("What the account has left", SUMMARY),
    "usage": ("What was used in a period", USAGE),
    "items": ("Models, guardrails, scripts and tools, used or not", thing(items=many(ITEM))),
    "banners": ("The banners that the account sees now", thing(banners=many(BANNER))),
    "history": (
        "What happened and who was told, newest first; of `since` and before something is left out",
        thing(history=many(thing(at=TIME, kind=TEXT, title=TEXT, detail=TEXT)), since=maybe(TIME)),
    ),
    "allowed": ("Whether the account may go on: 200 or 402", ALLOWED),
}
REFUSALS: Final = {
    "400": "the period or the resource is not known",
    "401": "no token, or one that is not valid or has expired",
    "403": "the token is for another account",
    "404": "that is no account id",
    "429": "too many requests; Retry-After says when to come again",
    "503": "the database does not answer, or too many pages are kept live or large answers asked for; Retry-After says "
    "when to come again",
}
LIVE: Final = (
    "Server-sent events `summary`: the data is the JSON of `summary` without `links`, `may_buy`, `actions` and "
    "`runway`, whenever it changes and every 5 s. The stream ends with the token."
)


def document() -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "credit-meter console",
            "version": "1",
            "description": "What an account has left, what used it, and who was told. Amounts are exact decimal text, "
            "times UTC; days are of the account's own zone.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "schemas": {"Error": ERROR},
        },
        "security": [{"token": []}],
        "paths": {f"/v1/accounts/{{account_id}}/{name}": {"get": operation(name)} for name in [*ANSWERS, "live"]},
    }


def operation(name: str) -> dict[str, Any]:
    refusals = {status: {"description": text, **content({"$ref": "#/components/schemas/Error"})}
                for status, text in REFUSALS.items()}  # fmt: skip
    if name == "live":
        events = {"description": LIVE, "content": {"text/event-stream": {"schema": TEXT}}}
        return {
            "operationId": name,
            "summary": "The summary whenever it changes",
            "parameters": parameters(name),
            "responses": {"200": events} | refusals,
        }
    summary, schema = ANSWERS[name]
    good = {"200": {"description": summary, **content(schema)}}
    if name == "allowed":
        good["402"] = {"description": "refused: `code` says why", **content(schema)}
    return {"operationId": name, "summary": summary, "parameters": parameters(name), "responses": good | refusals}


def content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def parameters(name: str) -> list[dict[str, Any]]:
    found = [
        {"name": "account_id", "in": "path", "required": True, "schema": {"type": "string", "pattern": ACCOUNT_PATTERN}}
    ]
    if name == "usage":
        found.append(query("period", one_of(*LABELS) | {"default": DEFAULT}))
        words = {
            "from": "of `custom`: its first day, one year back at most",
            "to": "its last day; without, `from` alone",
        }
        found += [query(day, DAY) | {"description": text} for day, text in words.items()]
    if name == "allowed":
        found.append(query("resource", RESOURCE))
    return found


def query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema}
