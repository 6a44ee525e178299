"""One usage event as a producer sends it: structured CloudEvents JSON of about 370 bytes, and the broken forms of it.

Made from text templates, not through the models, because a backlog of a million must take seconds; a test parses
them with `schemas` and finds what is expected here.
"""

import json
from datetime import datetime
from random import Random
from typing import NamedTuple

MICRO = 1_000_000
MODELS = ("swift-1", "swift-2-mini", "sage-3-large", "sage-3-reasoning", "ember-7b", "ember-70b", "quill-2", "atlas-xl")
GUARDRAILS = ("prompt-injection", "personal-data", "toxicity", "topic-policy")
SCRIPTS = ("normalise-address", "score-lead", "route-ticket", "summarise-thread", "extract-invoice", "redact-notes")
TOOLS = tuple(
    f"{verb}_{noun}" for verb in ("search", "read", "write", "list") for noun in ("files", "web", "crm", "mail")
)


class Names(NamedTuple):
    """What usage may be of."""

    models: tuple[str, ...]
    tools: tuple[str, ...]
    guardrails: tuple[str, ...]
    scripts: tuple[str, ...]

    @property
    def total(self) -> int:
        return sum(map(len, self))


USUAL = Names(MODELS, TOOLS, GUARDRAILS, SCRIPTS)
REGIONS = ("eu-west-1", "eu-north-1", "us-east-1", "us-west-2", "ap-south-1")


# The libraries for Go write their attributes so.
OTHER_ORDER = ("specversion", "id", "source", "type", "subject", "datacontenttype", "time", "data")


class Message(NamedTuple):
    """One Kafka record of the usage topic."""

    key: bytes
    value: bytes


class Usage(NamedTuple):
    """What an event reports: its kind, its amount in micro-units and the CloudEvents data as JSON text."""

    kind: str
    amount: int
    data: str


def account_name(index: int) -> str:
    return f"acct-{index:08d}"


def uuid7_text(milliseconds: int, random_bits: int) -> str:
    """A UUID of version 7 from its time and 74 random bits."""
    high = milliseconds << 16 | 0x7000 | random_bits >> 62
    low = 1 << 63 | random_bits & 0x3FFFFFFFFFFFFFFF
    text = f"{high:016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def make_names(count: int) -> Names:
    """So many, of each kind as large a part as usual; at least one."""

    def some(kind: str, usual: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"{kind}-{number:04d}" for number in range(max(1, round(count * len(usual) / USUAL.total))))

    others = some("model", MODELS), some("guardrail", GUARDRAILS), some("script", SCRIPTS)
    tools = tuple(f"tool_{number:04d}" for number in range(max(1, count - sum(map(len, others)))))
    return Names(others[0], tools, *others[1:])


def draw_usage(rng: Random, names: Names = USUAL) -> Usage:
    """Agents call models (45 %) and tools (30 %) most; credits have six decimals, as prices by token have."""
    kind, pick = rng.random(), rng.random()
    if kind < 0.45:
        tokens_in, tokens_out = 50 + int(pick * pick * 6000), 10 + int(kind * 2000)
        amount = tokens_in * 3 + tokens_out * 15
        region = REGIONS[int(pick * 1000) % len(REGIONS)]
        data = (
            f'{{"credits":"0.{amount:06d}","model":"{choose(names.models, pick)}","deployment":"{region}",'
            f'"input_tokens":{tokens_in},"output_tokens":{tokens_out}}}'
        )
        return Usage("model_inference", amount, data)
    if kind < 0.75:
        status = "ok" if pick < 0.97 else "error"
        return Usage("tool_run", MICRO, f'{{"tool":"{choose(names.tools, pick)}","runs":1,"status":"{status}"}}')
    if kind < 0.90:
        amount = 200 + int(pick * 900)
        return Usage(
            "guardrail", amount, f'{{"credits":"0.{amount:06d}","guardrail":"{choose(names.guardrails, pick)}"}}'
        )
    amount = 1000 + int(pick * 20_000)
    return Usage("custom_script", amount, f'{{"credits":"0.{amount:06d}","script":"{choose(names.scripts, pick)}"}}')


def choose(names: tuple[str, ...], pick: float) -> str:
    return names[int(pick * len(names))]


def wrap(kind: str, data: str, account: str, moment: datetime, rng: Random) -> str:
    """The CloudEvents envelope, fields in the order our own client writes them."""
    milliseconds = int(moment.timestamp() * 1000)
    return (
        f'{{"specversion":"1.0","id":"{uuid7_text(milliseconds, rng.getrandbits(74))}",'
        f'"source":"https://agents.example.com/production/{REGIONS[milliseconds % 5]}/'
        f'support-assistant-{milliseconds % 64:02d}",'
        f'"type":"usage.{kind}.v1","subject":"{account}","time":"{moment:%Y-%m-%dT%H:%M:%S.%f}Z",'
        f'"datacontenttype":"application/json","data":{data}}}'
    )


def make_event(account: str, moment: datetime, rng: Random, names: Names = USUAL) -> tuple[Usage, Message]:
    usage = draw_usage(rng, names)
    return usage, Message(account.encode(), wrap(usage.kind, usage.data, account, moment, rng).encode())


def rearrange(message: Message) -> Message:
    """The same event with its attributes in the order of other libraries."""
    event = json.loads(message.value)
    value = json.dumps({name: event[name] for name in OTHER_ORDER}, separators=(",", ":"))
    return message._replace(value=value.encode())


def make_garbage(account: str, moment: datetime, rng: Random) -> Message:
    """A record that breaks the contract in one of five ways, on the right key."""
    good = wrap("model_inference", '{"credits":"0.5","model":"swift-1"}', account, moment, rng)
    broken = (
        good[:-20],  # cut off: not JSON
        good.replace('"0.5"', '"-0.5"'),
        good.replace(account, "someone-else"),  # key and subject differ
        good.replace("usage.model_inference.v1", "usage.unheard_of.v1"),
        good.replace('"id":"', '"id":"ü'),
    )
    return Message(account.encode(), broken[int(rng.random() * len(broken))].encode())
