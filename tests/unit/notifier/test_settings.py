"""Settings are checked all at once, and put into the shapes that the parts want."""

import pytest

from meter.runtime.errors import SettingsError
from meter.runtime.settings import load_settings
from meter.settings import MeterSettings
from notifier.decide import Thresholds
from notifier.mail.session import SmtpServer
from notifier.settings import NotifierSettings


def load(monkeypatch: pytest.MonkeyPatch, **values: str) -> NotifierSettings:
    for name, value in values.items():
        monkeypatch.setenv(f"METERING_{name.upper()}", value)
    return load_settings(NotifierSettings)


def test_the_defaults_are_the_ones_of_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch)
    assert settings.thresholds == Thresholds((20, 50, 70, 80, 90, 100), (50, 70, 80, 90))
    assert settings.smtp_dot_timeout_s == 600


def test_changes_gather_for_a_shorter_time_than_events_unless_somebody_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load(monkeypatch).kafka_fetch_wait_ms < MeterSettings().kafka_fetch_wait_ms
    assert load(monkeypatch, kafka_fetch_wait_ms="70").kafka_fetch_wait_ms == 70


def test_thresholds_are_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, banner_thresholds="90, 20,100", email_thresholds="none")
    assert settings.thresholds == Thresholds((20, 90, 100), ())


@pytest.mark.parametrize(("security", "port"), [("auto", 25), ("none", 25), ("starttls", 587), ("tls", 465)])
def test_ports_are_the_usual_ones(monkeypatch: pytest.MonkeyPatch, security: str, port: int) -> None:
    server = SmtpServer.of(load(monkeypatch, smtp_security=security, mail_from="us@mail.example.com"))
    assert (server.port, server.helo) == (port, "mail.example.com")
    assert SmtpServer.of(load(monkeypatch, smtp_port="2525")).port == 2525


def test_all_faults_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError) as told:
        load(
            monkeypatch,
            banner_thresholds="20,x",
            email_thresholds="0,50",
            mail_from="a@example.com, b@example.com",
            smtp_host="bad host\r\n",
            billing_url="javascript:alert(1)",
        )
    for name in ("BANNER_THRESHOLDS", "EMAIL_THRESHOLDS", "MAIL_FROM", "SMTP_HOST", "BILLING_URL"):
        assert f"METERING_{name}" in str(told.value)


def test_a_password_needs_a_name_and_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="belong together"):
        load(monkeypatch, smtp_password="secret")
    settings = load(monkeypatch, smtp_username="us")
    assert "secret" not in repr(settings)
    password = SmtpServer.of(settings).password
    assert password is not None and password() == "secret"


def test_a_claim_outlasts_every_step_before_the_dot(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, smtp_timeout_s="10")
    # connect, greeting, EHLO, STARTTLS, handshake, EHLO, AUTH twice, MAIL, RCPT, DATA; and MAIL again after a reconnect
    assert settings.claim_s >= 12 * 10
