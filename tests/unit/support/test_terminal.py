from pathlib import Path

import pytest

from tests.support.terminal import mask

GOLDEN = sorted((Path(__file__).parents[2] / "golden").glob("*.txt"))


@pytest.mark.parametrize("kept", GOLDEN, ids=lambda path: path.stem)
def test_what_was_kept_is_masked_already(kept: Path) -> None:
    """Else a mask was changed without new captures, and what commands print can equal them no more."""
    text = kept.read_text(encoding="utf-8")
    assert mask(text).splitlines() == text.splitlines()


def test_a_hash_is_masked_whatever_its_characters_and_none_is_shown() -> None:
    assert (
        mask("1234567890123456 a1b2c3d4e5f60718 0000000000000000")
        == "c0ffeec0ffeec0ff c0ffeec0ffeec0ff 0000000000000000"
    )
