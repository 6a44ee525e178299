"""Every class of settings in the packages, found by itself: a new one cannot be forgotten."""

import importlib
from collections.abc import Iterator
from pathlib import Path

from meter.runtime.settings import Settings

ROOT = Path(__file__).parents[2]
PACKAGES = ("meter", "projections", "notifier")


def settings_classes() -> list[type[Settings]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "Settings):" in path.read_text(encoding="utf-8"):
                importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    found = {kind for kind in below(Settings) if kind.__module__.partition(".")[0] in PACKAGES}
    return [Settings, *sorted(found, key=lambda kind: kind.__name__)]


def below(kind: type[Settings]) -> Iterator[type[Settings]]:
    for each in kind.__subclasses__():
        yield each
        yield from below(each)
