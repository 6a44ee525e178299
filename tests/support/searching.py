"""Search bytes for what must not be in them, also in the forms in which it would hide."""

import base64
from collections.abc import Iterable, Iterator


def spellings(text: str) -> Iterator[bytes]:
    """In small letters: as it stands, in hex, and in base64 at each of the three places where it may begin."""
    raw = text.encode()
    yield raw.lower()
    yield raw.hex().encode()
    for shift in range(3):
        packed = base64.b64encode(bytes(shift) + raw)
        # The first and the last four characters hold neighbours, too.
        yield packed[4 if shift else 0 : len(packed) - 4].lower()


def find(values: Iterable[bytes], *texts: str) -> list[str]:
    """Which of the texts are in any of the values, in whatever letters."""
    small = [value.lower() for value in values]
    return [text for text in texts if any(spelled in value for spelled in spellings(text) for value in small)]
