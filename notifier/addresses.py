"""Foreign text without the addresses in it: what mail servers answer often repeats the recipient. Pure."""

import re
from typing import Final

HIDDEN: Final = "(address)"
_ADDRESS: Final = re.compile(r"[^\s<>()\[\],;:\"']+@[^\s<>()\[\],;:\"']+")


def hide_addresses(text: str, recipient: str = "") -> str:
    """Whatever looks like an address, and the recipient's part before the @ where it stands alone."""
    if recipient:
        text = re.sub(re.escape(recipient), HIDDEN, text, flags=re.IGNORECASE)
    text = _ADDRESS.sub(HIDDEN, text)
    mailbox = recipient.rpartition("@")[0]
    return re.sub(rf"(?<![\w.]){re.escape(mailbox)}(?![\w.])", HIDDEN, text, flags=re.IGNORECASE) if mailbox else text
