"""Names as texts show them: what people wrote, without what makes it look like something else. Pure.

A display name comes from an account's own people and is read by others. It can carry neither a link, nor characters
that nobody sees, nor those that turn the rest of a line around.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Final

from schemas.fields import ENCODED_WORD

MAX_NAME_CHARS: Final = 64  # a mail program shows hardly more of a subject
KNOWN_CHARS: Final = 4096  # characters that are looked up once
MAX_MARKS: Final = 5  # accents on one letter: no script needs more, and a tower of them covers the lines above
_JOINERS: Final = frozenset("\u200c\u200d")  # they shape Persian and Indian words, and make one emoji of several
# Letters and signs that are blank to the eye, and marks that are nothing.
_BLANKS: Final = "\u115f\u1160\u2800\u3164\uffa0"
_NOTHING: Final = "\u034f\u17b4\u17b5"
# A flag of a part of a country is a black flag with letters behind it that nobody sees; anywhere else they hide text.
_FLAG: Final = re.compile("\U0001f3f4[\U000e0061-\U000e007a\U000e0030-\U000e0039]{2,6}\U000e007f")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")
_DOTS: Final = ".\u3002"  # the second is taken for the first by browsers
# What mail programs and browsers make a link of: schemes, addresses, host names, numbers of hosts.
_LINK: Final = re.compile(
    rf"[a-z0-9]://|\b(?:https?|ftp|mailto|tel|sms|data|javascript):|[^\s@]@[^\s@]"
    rf"|[^\W_][{_DOTS}][^\W\d_][^\W_]|\d[{_DOTS}]\d+[{_DOTS}]\d+[{_DOTS}]\d"
)


def show_name(display_name: str | None, account_id: str) -> str:
    """The display name in one short line; the account id where there is none to see, or where it carries a link or
    what a header decodes."""
    name = clean_line(display_name or "")
    is_bad = not is_visible(name) or has_link(name) or ENCODED_WORD in name
    return account_id if is_bad else shorten(name, MAX_NAME_CHARS)


def undecoded(text: str) -> str:
    """For a header: nothing in it is an encoded word, which would be read as any other text, line ends among it."""
    return text.replace(ENCODED_WORD, "= ?")


def clean_line(text: str) -> str:
    """One line without control, direction and invisible characters; joiners stay where they join something."""
    if text.isascii():
        return " ".join(_CONTROL.sub(" ", text).split())
    kept = "".join(clean_parts(text))
    if _JOINERS.intersection(kept):
        kept = "".join(drop_joiners(kept))
    return " ".join(drop_marks(kept).split())


def clean_parts(text: str) -> Iterator[str]:
    """Flags whole, and what is between them character by character."""
    place = 0
    for flag in _FLAG.finditer(text):
        yield from map(clean_char, text[place : flag.start()])
        yield flag.group()
        place = flag.end()
    yield from map(clean_char, text[place:])


kind_of: Final = lru_cache(maxsize=KNOWN_CHARS)(unicodedata.category)


@lru_cache(maxsize=KNOWN_CHARS)
def clean_char(char: str) -> str:
    """Nothing, a blank, or the character as it is."""
    if char in _JOINERS:
        return char
    kind = kind_of(char)
    if char in _BLANKS or kind in ("Cc", "Zs", "Zl", "Zp"):
        return " "
    return "" if char in _NOTHING or (kind in ("Cf", "Cs", "Co", "Cn") and not is_emoji(char)) else char


def is_emoji(char: str) -> bool:
    """Also of a later Unicode than Python's: there it counts as not assigned."""
    return "\U0001f000" <= char <= "\U0001faff"


def drop_joiners(text: str) -> Iterator[str]:
    """Without those that do not stand between two characters that can be joined."""
    before = ""
    for char, following in pairwise([*text, ""]):
        if char not in _JOINERS or (can_join(before) and can_join(following)):
            yield char
            before = char


def can_join(char: str) -> bool:
    return char != "" and (kind_of(char)[0] in "LMN" or kind_of(char) in ("So", "Sk", "Cn"))


def drop_marks(text: str) -> str:
    """Without the accents of a letter that are too many."""
    kinds = [kind_of(char)[0] for char in text]
    if "M" not in kinds:
        return text
    kept, marks = list[str](), 0
    for char, kind in zip(text, kinds, strict=True):
        marks = marks + 1 if kind == "M" else 0
        if marks <= MAX_MARKS:
            kept.append(char)
    return "".join(kept)


def is_visible(text: str) -> bool:
    return any(kind_of(char)[0] in "LNSP" or is_emoji(char) for char in text)


def has_link(text: str) -> bool:
    """Whether a mail program or browser may make a link of it. Letters of full width count as plain ones."""
    if not text.isascii():
        text = "".join(char for char in unicodedata.normalize("NFKD", text) if is_seen(char))
    return _LINK.search(text.casefold()) is not None


def is_seen(char: str) -> bool:
    return char not in _JOINERS and kind_of(char)[0] != "M"


def shorten(text: str, limit: int) -> str:
    """The text, or its beginning and "…" where it has more than `limit` characters. The cut never comes inside a letter
    with its accents or inside a joined emoji."""
    if len(text) <= limit:
        return text
    end = limit - 1
    while end > 0 and (is_tied(text[end]) or text[end - 1] in _JOINERS):
        end -= 1
    return (text[:end].rstrip() or text[: limit - 1]) + "…"


def is_tied(char: str) -> bool:
    """To the character before it."""
    return char in _JOINERS or kind_of(char)[0] == "M" or kind_of(char) in ("Sk", "Cf")
