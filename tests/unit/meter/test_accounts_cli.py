"""What `meter accounts show` says of an account: to people that nobody opened it once, to programs in values."""

from datetime import UTC, datetime
from decimal import Decimal

from meter.accounts_cli import NONE_YET, describe, describe_known, fields_for_programs, known_fields
from meter.effects import AccountNow, BalanceNow, KeptAccount, KeptAmount, kept_fields
from meter.store.outcomes import RemarkLine


def test_that_nobody_opened_an_account_is_said_once() -> None:
    kept = BalanceNow("model_credits", Decimal(0), Decimal(0), Decimal(0), False, "not_opened")
    shown = describe("acct-2", describe_known(None), [kept, kept._replace(resource="tool_runs")], [])
    assert shown["opened"] == "no" and shown["balances"] == [NONE_YET]
    assert "opened the account" not in str(shown)


AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_programs_get_values_of_an_open_account() -> None:
    account = AccountNow("team", None, AT, (), "open")
    overdrawn = BalanceNow("model_credits", Decimal(175), Decimal("180.000001"), Decimal("-5.000001"), False, "open")
    remarks = [RemarkLine(7, "data.name", "is too long", AT)]
    assert fields_for_programs("acct-9", known_fields(account, None), [overdrawn], remarks, None) == {
        "account": "acct-9", "opened": "2026-03-01T12:00:00+00:00", "state": "open", "plan": "team", "name": None,
        "time_zone": None, "contacts": [],
        "balances": [
            {"resource": "model_credits", "allocation": "175", "consumed": "180.000001", "remaining": "-5.000001",
             "allowed": False, "account_state": "open"},
        ],
        "remarks": [
            {"offset": 7, "field": "data.name", "reason": "is too long", "recorded_at": "2026-03-01T12:00:00+00:00"}
        ],
        "forgotten_at": None,
    }  # fmt: skip


def test_programs_get_empty_lists_and_values_of_an_account_that_nobody_opened() -> None:
    kept = KeptAccount("team", None, None, ("owner@example.com",))
    waiting = BalanceNow("tool_runs", Decimal(0), Decimal(0), Decimal(0), False, "not_opened")
    known = known_fields(None, kept) | kept_fields([KeptAmount("tool_runs", Decimal("5E+2"), Decimal(0), 1, 0)])
    shown = fields_for_programs("nobody-1", known, [waiting], [], AT)
    assert shown["opened"] is None and shown["balances"] == shown["remarks"] == shown["kept_usage"] == []
    assert shown["kept_grants"] == [{"resource": "tool_runs", "amount": "500", "events": 1}]
    assert shown["kept_contacts"] == ("owner@example.com",) and shown["forgotten_at"] == "2026-03-01T12:00:00+00:00"
