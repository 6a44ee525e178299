"""Settings of the meter are judged all at once, before anything starts."""

import pytest
from pydantic import ValidationError

from meter.allowance import Allowance
from meter.runtime.settings import load_settings
from meter.settings import MeterSettings, SetupSettings
from schemas.amounts import MICRO
from schemas.records import Limits


def test_the_free_allowance_is_75_credits_and_10_000_runs() -> None:
    assert MeterSettings().allowance() == Allowance(75 * MICRO, 10_000 * MICRO) == Allowance()


def test_free_amounts_are_exact_decimals() -> None:
    settings = MeterSettings(free_model_credits="0.000001", free_tool_runs="0")
    assert settings.allowance() == Allowance(1, 0)


def test_one_usage_event_has_10_000_credits_or_runs_at_most() -> None:
    assert MeterSettings().limits() == Limits(partitions=12)
    raised = MeterSettings(max_usage_credits="12.5", max_usage_runs=20_000).limits()
    assert (raised.max_credits, raised.max_runs) == (12_500_000, 20_000 * MICRO)


def test_all_faults_are_found_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        MeterSettings(
            free_model_credits="-1",
            free_tool_runs="1e3",
            max_ahead_s=-1,
            batch_events=20_000,
            max_usage_credits="x",
            max_usage_runs=0,
        )
    names = {str(fault["loc"][0]) for fault in caught.value.errors()}
    assert names == {
        *("free_model_credits", "free_tool_runs", "max_ahead_s", "batch_events"),
        *("max_usage_credits", "max_usage_runs"),
    }


def test_passwords_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERING_SETUP_PASSWORD_READER", "s3cret")
    settings = load_settings(SetupSettings)
    assert settings.setup_password_reader is not None
    assert "s3cret" not in repr(settings)
