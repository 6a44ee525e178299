"""A mail server that takes, refuses or loses letters, and what readers have got. The bytes are of no interest here."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from notifier.decide import BalanceSnapshot
from notifier.letters import Lines
from notifier.mail.verdict import Phase, Result
from notifier.model import AccountSnapshot, BannerKind
from notifier.store.port import ClaimedEmail
from schemas.topics import BALANCES
from tests.simulation.broker import Broker
from tests.simulation.virtual import pause
from tests.unit.notifier.fakes import FakeStore

# What the server may do to one letter: the phase that ends it, the reply, and whether it has kept the letter.
MISBEHAVIOUR: Final = {
    "later": (Phase.RCPT, 450, "4.2.1 busy", False),
    "unknown": (Phase.RCPT, 550, "5.1.1 no such user", False),
    "refused": (Phase.DATA, 554, "5.6.0 refused", False),
    "late": (Phase.DOT, 451, "4.3.0 later", False),
    "full": (Phase.DOT, 552, "5.2.2 full", False),
    "lost": (Phase.DOT, None, "the connection was lost", False),
    "kept": (Phase.DOT, None, "the connection was lost", True),
    "closing": (Phase.MAIL, 421, "4.3.2 closing", False),
    "silent": (Phase.CONNECT, None, "no answer", False),
}
ACCEPTED: Final = (Phase.DOT, 250, "2.0.0 ok", True)


class Dot(NamedTuple):
    """Of metering.balances: the end that was asked when the letter was made, and how far the notifier had read before
    and after it was asked for the last time whether the letter is true."""

    shard: int
    asked: int
    read_from: int
    read_to: int


class Ends:
    """The ends of metering.balances, for one mailer; keeps which it was told last."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.asked: dict[int, int] = {}

    async def fetch(self, shard: int) -> int:
        end = self.asked[shard] = self._broker.end(BALANCES, shard)
        return end


@dataclass(frozen=True, slots=True)
class Arrival:
    """A letter that a reader got. `lost`: replies to the dot that were lost before, so these may be bytes of before."""

    email_id: UUID
    message_id: str
    account_id: str
    recipient: str
    lines: Lines
    lost: int
    contact_id: str
    dot: Dot


class MailServer:
    def __init__(self, mattered: Counter[str]) -> None:
        self._mattered = mattered
        self.arrived: list[Arrival] = []
        self.misbehave: list[
            tuple[str, int]
        ] = []  # of each letter to come: what befalls it, and which of the fault it is
        self.refused: set[str] = set()  # recipients that were refused or whose letter was

    def answer(self, recipient: str) -> tuple[Phase, int | None, str, bool]:
        if not self.misbehave:
            return ACCEPTED
        name, number = self.misbehave.pop(0)
        self._mattered["mail"] += number == 0
        how = MISBEHAVIOUR[name]
        if how[1] is not None and how[1] >= 500:
            self.refused.add(recipient)
        return how


class SimulatedSender:
    """In the place of `notifier.mail.sender.Sender`: the same steps, without a network."""

    interrupted = False

    def __init__(self, store: FakeStore, server: MailServer, ends: Ends, hand_over_s: float) -> None:
        self._store = store
        self._server = server
        self._ends = ends
        self._hand_over_s = hand_over_s

    async def send(self, email: ClaimedEmail) -> Result | None:
        assert email.draft is not None, "a letter without bytes"
        await pause("mailer before the recipient")
        phase, code, words, kept = self._server.answer(email.row.recipient)
        if phase is not Phase.DOT:
            return Result(phase, code, words)
        row, draft = email.row, email.draft
        read_from = self._store.offsets[BALANCES, row.shard]
        if not await self._store.hand_over(email, self._hand_over_s):
            return None
        dot = Dot(row.shard, self._ends.asked[row.shard], read_from, self._store.offsets[BALANCES, row.shard])
        await pause("mailer before the dot")
        if kept:
            self._server.arrived.append(
                Arrival(
                    row.email_id, draft.message_id, row.account_id, row.recipient, draft.lines, email.lost,
                    str(row.contact_id), dot,
                )
            )  # fmt: skip
        await pause("mailer behind the dot")
        return Result(phase, code, words)


class PlainLetter:
    def address(self, email_id: UUID, _recipient: str, edition: int = 1) -> tuple[str, bytes]:
        return f"<{email_id}.{edition}@example.com>", b"a letter"


class PlainRenderer:
    """Texts of one line: templates are tested elsewhere, and would take most of the time."""

    def render_banner(self, kind: BannerKind, _balance: BalanceSnapshot, threshold: int, _account: Any) -> str:
        return f"{kind.value} {threshold}"

    def render_letter(
        self,
        _balances: Any,
        _account: AccountSnapshot,
        _at: datetime,
        *,
        contact_id: UUID | None = None,
        runways: Mapping[str, datetime] | None = None,
    ) -> PlainLetter:
        return PlainLetter()
