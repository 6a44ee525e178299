"""Sentences are broken between words on a terminal, and nowhere else."""

import io

import pytest

from meter.runtime.process.terminal import fit

TEXT = (
    "a sentence of several words that is longer than the terminal\n  an indented line of several words as well\nshort"
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_the_text_as_it_is() -> None:
    assert fit(TEXT, io.StringIO()) == TEXT


@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_terminal_gets_whole_words(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    broken = fit(TEXT, Terminal())
    assert max(map(len, broken.splitlines())) <= width and broken.split() == TEXT.split()
    assert broken.endswith("\nshort") and "\n  an indented" in broken


def test_a_word_that_is_too_long_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert "https://example.com/a/long/address" in fit("see https://example.com/a/long/address now", Terminal())
