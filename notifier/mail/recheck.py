"""The look just before sending: is it still true, and still for this person? Pure."""

from notifier.store.port import ClaimedEmail


def find_reason_to_drop(email: ClaimedEmail) -> str | None:
    """None: send it. A top-up or a reversal since then has made a warning untrue; contacts come and go."""
    if email.now is None or email.now.epoch != email.crossed.epoch:
        return "a later allocation has made it untrue"
    if not email.now.reaches(email.threshold):
        return "a reversal has made it untrue"
    if not email.is_contact:
        return "the recipient is no longer a contact of the account"
    return None
