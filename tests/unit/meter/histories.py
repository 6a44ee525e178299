"""Any history of two accounts: every type of event, ids that come again with the same and with other bytes and on both
topics, what the database refuses, and what is no event."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from hypothesis import strategies as st

from schemas.amounts import MICRO
from schemas.codes import CODES, ITEM_CODE, USAGE_CODES
from schemas.records import Accepted, Outcome, Remark, Remarked
from schemas.topics import ACCOUNTS, USAGE
from tests.contract.rows import granted, opened, rejected, rerouted, reversal, revoked, usage

SUPPORT: Final = "/example/support"
TOOL_RUN: Final = CODES["usage.tool_run.v1"]
NOBODYS: Final = "nobody's"
# Two of each, which say something else.
SAID: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "account.opened.v1": (
        {"plan": "free", "contacts": ["ann@example.com"], "display_name": "Ann"},
        {"plan": "team", "contacts": ["bob@example.com"]},
    ),
    "account.plan_changed.v1": ({"plan": "free"}, {"plan": "team"}),
    "account.contacts_changed.v1": ({"contacts": ["ann@example.com"]}, {"contacts": ["bob@example.com"]}),
    "account.renamed.v1": ({"display_name": "Ann"}, {"display_name": "Bob", "time_zone": "Europe/Berlin"}),
    "account.closed.v1": ({}, {}),
    "account.reopened.v1": ({}, {}),
    "account.forgotten.v1": ({"reason": "asked"}, {"reason": "asked again"}),
}
# What the database refuses: in a field that is compared with what is stored, and in one that is not.
SPOILT: Final[dict[str, dict[str, Any]]] = {
    "no": {}, "in name": {"name": "nul\x00"}, "in extensions": {"extensions": "\x00"},
}  # fmt: skip

Drawn = tuple[str, tuple[str, tuple[Any, ...]]]  # account, kind, and what the kind needs

_IDS = st.sampled_from(("order 1", "order 2", "order 3"))
_AMOUNTS = st.sampled_from((MICRO, 5 * MICRO, 75 * MICRO))
_SPOILT = st.sampled_from(("no", "no", "no", "in name", "in extensions"))
_PLACES = st.integers(0, 9)
_TOPICS = st.sampled_from((USAGE, ACCOUNTS))


def _kind(kind: st.SearchStrategy[str] | str, *needs: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(st.just(kind) if isinstance(kind, str) else kind, st.tuples(*needs))


_KINDS = st.one_of(
    _kind("use", st.sampled_from(USAGE_CODES), _IDS, _AMOUNTS, _SPOILT),
    _kind("item", _IDS, st.integers(0, 1), _SPOILT),
    _kind(st.sampled_from(sorted(SAID)), _IDS, st.integers(0, 1), _SPOILT),
    _kind("account.forgotten.v1", _IDS, st.integers(0, 1), _SPOILT),  # once more: much depends on it
    _kind("grant", _IDS, _AMOUNTS, _SPOILT),
    _kind("revoke", _IDS, _AMOUNTS, st.one_of(st.none(), _IDS), _SPOILT),
    _kind("reverse", _IDS, _AMOUNTS, _PLACES, _SPOILT),
    _kind("again", _PLACES, st.sampled_from(("same", "other amount", "other spelling", "spoilt", "sound"))),
    _kind("remarked", _IDS),
    _kind("garbage", _TOPICS),
    _kind("elsewhere", _TOPICS),
)
ACCOUNTS_DRAWN = st.sampled_from(("acc-1", "acc-1", "acc-2"))


def histories(most: int) -> st.SearchStrategy[list[Drawn]]:
    return st.lists(st.tuples(ACCOUNTS_DRAWN, _KINDS), min_size=2, max_size=most)


class Writer:
    """Makes records of what was drawn, in the order in which they are read.

    With `in_order` no outcome depends on which topic is read first: usage that a reversal names is read before it and
    never again, and an item has one owner.
    """

    def __init__(self, *, in_order: bool) -> None:
        self._in_order = in_order
        self._at = {USAGE: 0, ACCOUNTS: 0}
        self._made: list[Accepted] = []
        self._named: set[tuple[str, str]] = set()  # account and id of usage that reversals name

    def write(self, drawn: Sequence[Drawn]) -> Iterator[Outcome]:
        for account, (kind, needs) in drawn:
            result = self._write_one(account, kind, needs)
            if isinstance(result, Accepted) and result.topic == USAGE and self._is_too_late(result):
                result = rejected(USAGE, result.offset)
            event = result.event if isinstance(result, Remarked) else result
            if isinstance(event, Accepted):
                self._made.append(event)
            topic = event.topic if isinstance(event, Accepted) else event.record.topic
            self._at[topic] += 1
            yield result

    def _is_too_late(self, event: Accepted) -> bool:
        return self._in_order and (event.account_id, event.event_id) in self._named

    def _write_one(self, account: str, kind: str, needs: tuple[Any, ...]) -> Outcome:
        offset = self._at[ACCOUNTS]
        changes: dict[str, Any] = {"account_id": account}
        match kind, needs:
            case "use", [type, id, amount, spoilt]:
                more = {"resource": 2} if type == TOOL_RUN else {}
                changes |= {"event_id": id, **SPOILT[spoilt]}
                return usage(self._at[USAGE], type=type, amount=amount, **more, **changes)
            case "item", [id, which, spoilt]:
                return self._write_item(account, id, which, SPOILT[spoilt])
            case "grant", [id, amount, spoilt]:
                return granted(offset, amount, event_id=id, **changes, **SPOILT[spoilt])
            case "revoke", [id, amount, named, spoilt]:
                return revoked(offset, amount, revokes=named, event_id=id, **changes, **SPOILT[spoilt])
            case "reverse", [id, amount, which, spoilt]:
                named = self._name_usage(account, which)
                return reversal(offset, amount, named, event_id=id, **changes, **SPOILT[spoilt])
            case "again", [which, how] if self._made:
                return self._write_again(self._made[which % len(self._made)], how)
            case "remarked", [id]:
                event = say(offset, "account.renamed.v1", 0, event_id=id, **changes)
                return Remarked(event, (Remark("time_zone", "is no time zone"),))
            case "garbage", [topic]:
                return rejected(topic, self._at[topic])
            case "elsewhere", [topic]:
                return rerouted(topic, self._at[topic])
            case _, [id, which, spoilt]:
                return say(offset, kind, which, event_id=id, **changes, **SPOILT[spoilt])
        return rejected(ACCOUNTS, offset)  # nothing is there that could come again

    def _write_item(self, account: str, id: str, which: int, spoilt: dict[str, Any]) -> Accepted:
        owner = "Ann" if self._in_order else ("Ann", "Bob")[which]
        data = {"kind": "model", "id": "large", "name": "Large", "status": ("deployed", "ended")[which], "owner": owner}
        fields: dict[str, Any] = {"type": ITEM_CODE, "resource": None, "amount": 0, "data": json.dumps(data)}
        return usage(self._at[USAGE], account_id=account, event_id=id, **(fields | spoilt))

    def _name_usage(self, account: str, which: int) -> str:
        used = [event for event in self._made if event.topic == USAGE and event.account_id == account]
        named = used[which].event_id if which < len(used) else NOBODYS if self._in_order else "order 1"
        self._named.add((account, named))
        return named

    def _write_again(self, event: Accepted, how: str) -> Accepted:
        changes: dict[str, dict[str, Any]] = {
            "same": {},
            "other amount": {"amount": event.amount + 1},
            "other spelling": {"data": f" {event.data}"},
            "spoilt": SPOILT["in extensions"],
            "sound": {"extensions": None, "name": event.name.replace("\x00", "")},
        }
        return event._replace(offset=self._at[event.topic], **changes[how])


def say(offset: int, type: str, which: int, **changes: Any) -> Accepted:
    """An event of an account that moves no credits."""
    fields = {"type": CODES[type], "data": json.dumps(SAID[type][which]), "name": "", "source": SUPPORT}
    return opened(offset, **(fields | changes))
