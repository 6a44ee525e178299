"""`settings` prints every variable with its meaning, so every setting has one."""

import pytest

from meter.runtime.settings import Settings
from meter.settings import MeterSettings, SetupSettings
from notifier.settings import NotifierSettings
from projections.console.settings import ConsoleSettings
from projections.settings import ProjectionsSettings, VerifySettings


@pytest.mark.parametrize(
    "kind",
    [MeterSettings, SetupSettings, NotifierSettings, ProjectionsSettings, VerifySettings, ConsoleSettings],
)
def test_every_setting_says_what_it_means(kind: type[Settings]) -> None:
    assert [name for name, field in kind.model_fields.items() if not field.description] == []
