"""Names as texts show them: what people wrote, without what makes it look like something else. Pure.

A display name comes from an account's own people and is read by others. It can carry neither a link, nor characters
that nobody sees, nor those that turn the rest of a line around.
"""

import re
import unicodedata
from itertools import pairwise
from typing import Final

MAX_NAME_CHARS: Final = 64  # a mail program shows hardly more of a subject
MAX_MARKS: Final = 5  # accents on one letter: no script needs more, and a tower of them covers the lines above
_JOINERS: Final = "\u200c\u200d"  # they shape Persian and Indian words, and make one emoji of several
# Letters and signs that are blank to the eye, and marks that are nothing.
_BLANKS: Final = "\u115f\u1160\u2800\u3164\uffa0"
_NOTHING: Final = "\u034f\u17b4\u17b5"
# A flag of a part of a country is a black flag with letters behind it that nobody sees; anywhere else they hide text.
_FLAG: Final = re.compile("\U0001f3f4[\U000e0061-\U000e007a\U000e0030-\U000e0039]{2,6}\U000e007f")
_DOTS: Final = ".\u3002"  # the second is taken for the first by browsers
# What mail programs and browsers make a link of: schemes, addresses, host names, numbers of hosts.
_LINK: Final = re.compile(
    rf"[a-z][a-z0-9+.-]*://|\b(?:https?|ftp|mailto|tel|sms|data|javascript):|[^\s@]@[^\s@]"
    rf"|[^\W_][{_DOTS}][^\W\d_][^\W_]|\d[{_DOTS}]\d+[{_DOTS}]\d+[{_DOTS}]\d"
)


def show_name(display_name: str | None, account_id: str) -> str:
    """The display name in one short line; the account id where there is none to see, or where it carries a link."""
    name = clean_line(display_name or "")
    return account_id if not is_visible(name) or has_link(name) else shorten(name, MAX_NAME_CHARS)


def clean_line(text: str) -> str:
    """One line without control, direction and invisible characters; joiners stay where they join something."""
    flags = [(match.start(), match.end()) for match in _FLAG.finditer(text)]
    kept = [
        found
        for place, char in enumerate(text)
        if (found := char if any(start <= place < end for start, end in flags) else clean_char(char))
    ]
    return " ".join("".join(drop_marks(drop_joiners(kept))).split())


def clean_char(char: str) -> str:
    """Nothing, a blank, or the character as it is."""
    if char in _JOINERS:
        return char
    kind = unicodedata.category(char)
    if char in _BLANKS or kind in ("Cc", "Zs", "Zl", "Zp"):
        return " "
    return "" if char in _NOTHING or (kind in ("Cf", "Cs", "Co", "Cn") and not is_emoji(char)) else char


def is_emoji(char: str) -> bool:
    """Also of a later Unicode than Python's: there it counts as not assigned."""
    return "\U0001f000" <= char <= "\U0001faff"


def drop_joiners(chars: list[str]) -> list[str]:
    """Without those that do not stand between two characters that can be joined."""
    kept: list[str] = []
    for char, following in pairwise([*chars, ""]):
        if char not in _JOINERS or (kept and can_join(kept[-1]) and can_join(following)):
            kept.append(char)
    return kept


def can_join(char: str) -> bool:
    return char != "" and (unicodedata.category(char)[0] in "LMN" or unicodedata.category(char) in ("So", "Sk", "Cn"))


def drop_marks(chars: list[str]) -> list[str]:
    """Without the accents of a letter that are too many."""
    kept: list[str] = []
    marks = 0
    for char in chars:
        marks = marks + 1 if unicodedata.category(char)[0] == "M" else 0
        if marks <= MAX_MARKS:
            kept.append(char)
    return kept


def is_visible(text: str) -> bool:
    return any(unicodedata.category(char)[0] in "LNSP" or is_emoji(char) for char in text)


def has_link(text: str) -> bool:
    """Whether a mail program or browser may make a link of it. Letters of full width count as plain ones."""
    folded = unicodedata.normalize("NFKD", text).casefold()
    return _LINK.search("".join(char for char in folded if is_seen(char))) is not None


def is_seen(char: str) -> bool:
    return char not in _JOINERS and unicodedata.category(char)[0] != "M"


def shorten(text: str, limit: int) -> str:
    """At most so many characters; an accent or a joined emoji is left out whole."""
    if len(text) <= limit:
        return text
    end = limit - 1
    while end > 0 and (is_tied(text[end]) or text[end - 1] in _JOINERS):
        end -= 1
    return (text[:end].rstrip() or text[: limit - 1]) + "…"


def is_tied(char: str) -> bool:
    """To the character before it."""
    return char in _JOINERS or unicodedata.category(char)[0] == "M" or unicodedata.category(char) in ("Sk", "Cf")
