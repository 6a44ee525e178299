"""Templates of the operator's own."""

from pathlib import Path

import pytest

from meter.runtime.errors import SettingsError
from meter.runtime.failures import is_transient
from notifier.model import BannerKind
from notifier.render import Renderer, Sender
from tests.unit.notifier.builders import AT, account, percent
from tests.unit.notifier.composing import compose, part


def test_own_templates_take_the_place_of_the_packages(tmp_path: Path) -> None:
    (tmp_path / "email_subject.txt.j2").write_text("{{ account }}:\n{{ consumed | amount }} used")
    renderer = Renderer(Sender(address="a@example.com"), tmp_path)
    renderer.check(AT)
    assert compose(renderer)["Subject"] == "Example Account: 52.5 used"
    assert "Used:" in part(compose(renderer), "plain")


@pytest.mark.parametrize("template", ["{{ nothing }}", "{% if %}", "   ", "{{ 1 / 0 }}"])
def test_a_template_that_cannot_be_used_is_found_at_start(template: str, tmp_path: Path) -> None:
    (tmp_path / "banner_low.txt.j2").write_text(template)
    with pytest.raises(SettingsError, match="template"):
        Renderer(Sender(address="a@example.com"), tmp_path).check(AT)


def test_a_template_that_is_missed_only_for_some_accounts_is_refused_and_not_retried(tmp_path: Path) -> None:
    """Jinja's TemplateNotFound is an OSError, which would count as a fault of the network."""
    (tmp_path / "banner_low.txt.j2").write_text("{% if plan == 'gold' %}{% include 'gold.j2' %}{% endif %}low")
    renderer = Renderer(Sender(address="a@example.com"), tmp_path)
    renderer.check(AT)
    with pytest.raises(SettingsError) as raised:
        renderer.render_banner(BannerKind.LOW, percent(50, 2), 50, account(1, plan="gold"))
    assert not is_transient(raised.value)
