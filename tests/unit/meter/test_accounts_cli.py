"""What `meter accounts show` says of an account that nobody opened: once."""

from decimal import Decimal

from meter.accounts_cli import NONE_YET, describe, describe_known
from meter.effects import BalanceNow


def test_that_nobody_opened_an_account_is_said_once() -> None:
    kept = BalanceNow("model_credits", Decimal(0), Decimal(0), Decimal(0), False, "not_opened")
    shown = describe("acct-2", describe_known(None), [kept, kept._replace(resource="tool_runs")], [])
    assert shown["opened"] == "no" and shown["balances"] == [NONE_YET]
    assert "opened the account" not in str(shown)
