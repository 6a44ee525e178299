"""The `source` of events that we make has one form, by which receivers tell them from those of producers."""

import re

from tests.architecture.sources import PACKAGES, ROOT, modules

OURS = re.compile(r'"([^"\s]*credit-meter/[^"\s]*)"')


def test_every_source_of_ours_has_one_form() -> None:
    found = {
        source
        for file in modules(*PACKAGES)
        for line in (ROOT / file).read_text(encoding="utf-8").splitlines()
        if "SOURCE" in line
        for source in OURS.findall(line)
    }
    assert {"/credit-meter/meter", "/credit-meter/notifier"} <= found
    assert [source for source in sorted(found) if not re.fullmatch(r"/credit-meter/[a-z-]+", source)] == []
