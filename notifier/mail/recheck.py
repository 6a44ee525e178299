"""Check right before sending that the warning is still true and the recipient still a contact. Pure."""

from notifier.store.port import ClaimedEmail


def find_reason_to_drop(email: ClaimedEmail) -> str | None:
    """The reason not to send the email; None when it is to be sent."""
    if email.now is None or email.now.epoch != email.crossed.epoch:
        return "a later allocation has made it untrue"
    if not email.now.reaches(email.threshold):
        return "a reversal has made it untrue"
    if not email.is_contact:
        return "the recipient is no longer a contact of the account"
    return None
