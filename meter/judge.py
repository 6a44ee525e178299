"""Judging events before anything is live: with the meter's own parser, and in the words of a rejection. Pure."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Literal

from meter.content import Content, content_of, describe_reuse, is_same
from schemas.events import TYPES_BY_CODE
from schemas.parsing.parse import parse
from schemas.reasons import Reason
from schemas.records import Accepted, Limits, Record, Rejected, Remarked, Rerouted
from schemas.topics import ACCOUNTS, USAGE

Judged = Accepted | Remarked | Rejected
Verdict = Literal["accepted", "repeat", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What would become of one event; `reason`, `detail` and `advice` of one that is refused."""

    line: int
    verdict: Verdict
    topic: str
    type: str | None = None
    account_id: str | None = None
    event_id: str | None = None
    reason: str | None = None
    detail: str | None = None
    advice: str | None = None
    remarks: tuple[str, ...] = ()

    def sentence(self) -> str:
        """For people. The words of a refusal are those of the rejection that the meter would store."""
        start = f"line {self.line}: {self.verdict}: "
        if self.verdict == "refused":
            return f"{start}{self.reason}: {self.detail}. {self.advice}"
        said = f"{start}{self.type} of {self.account_id}, id {self.event_id}"
        return said + "".join(f"; {remark}, so it is left out" for remark in self.remarks)

    def as_json(self) -> str:
        return json.dumps({name: value for name, value in asdict(self).items() if value not in (None, ())})


class Judge:
    """Judges events one by one, as records of one partition: it knows those before by their identity."""

    def __init__(self, limits: Limits, topic: str | None = None) -> None:
        """Without a topic each event is judged as one of the topic that its type belongs to."""
        self._limits = replace(limits, partitions=1)
        self._topic = topic
        self._known: dict[bytes, Content] = {}

    def judge(self, line: int, value: bytes, now: datetime) -> Judgement:
        topic, outcome = self._parse(line, value, now)
        if isinstance(outcome, Rejected):
            return refuse(line, topic, outcome.reason, outcome.detail)
        event, remarks = outcome if isinstance(outcome, Remarked) else (outcome, ())
        before = self._known.setdefault(event.key, content_of(event)._replace(place=f"on line {line}"))
        if not is_same(event, before):
            return refuse(line, topic, Reason.ID_REUSED, describe_reuse(event, before))
        first = before.place == f"on line {line}"
        return Judgement(
            line=line,
            verdict="accepted" if first else "repeat",
            topic=topic,
            type=TYPES_BY_CODE[event.type],
            account_id=event.account_id,
            event_id=event.event_id,
            remarks=tuple(f"{remark.field} {remark.reason}" for remark in remarks),
        )

    def _parse(self, line: int, value: bytes, now: datetime) -> tuple[str, Judged]:
        topic = self._topic or USAGE
        outcome = self._parse_as(topic, line, value, now)
        if self._topic is None and isinstance(outcome, Rejected) and outcome.reason is Reason.WRONG_TOPIC:
            return ACCOUNTS, self._parse_as(ACCOUNTS, line, value, now)
        return topic, outcome

    def _parse_as(self, topic: str, line: int, value: bytes, now: datetime) -> Judged:
        record = Record(topic, 0, line, int(now.timestamp() * 1000), None, value, ())
        outcome = parse(record, now, self._limits)
        if isinstance(outcome, Rerouted):  # for want of a key: the meter takes it from the subject
            outcome = parse(record._replace(key=outcome.account_id.encode()), now, self._limits)
        if isinstance(outcome, Rerouted):
            raise TypeError("of one partition nothing is elsewhere")
        return outcome


def refuse(line: int, topic: str, reason: Reason, detail: str) -> Judgement:
    return Judgement(
        line=line, verdict="refused", topic=topic, reason=reason.value, detail=detail, advice=reason.advice
    )


def split_events(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Events with the number of their first line: one a line, or a single document over several lines.

    It is a document where the first line that is not blank begins a JSON value and does not end it.
    """
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    for at, (number, line) in enumerate(numbered):
        if at == 0 and line.lstrip().startswith((b"{", b"[")) and not line.rstrip().endswith((b"}", b"]")):
            yield number, line + b"".join(rest for _, rest in numbered)
        else:
            yield number, line.rstrip(b"\r\n")
