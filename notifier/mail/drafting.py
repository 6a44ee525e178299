"""Make the bytes of a letter from what is known at the moment of sending. Pure."""

from datetime import datetime

from notifier.ids import line_notice_id
from notifier.letters import Shown, owed_lines
from notifier.model import Draft
from notifier.render import Renderer
from notifier.store.port import ClaimedEmail, Outlook


def make_draft(email: ClaimedEmail, outlook: Outlook, renderer: Renderer, at: datetime) -> Draft:
    """All balances of the account, each with the line it is at. The caller has found that something is owed."""
    account = outlook.account
    if account is None:
        raise ValueError("nobody is owed a letter of an account that is not known")
    balances = [balance for balance in outlook.balances if balance.epoch >= 1]
    lines = {
        balance.resource: Shown.of(outlook.letters.reached[balance.resource], balance.position)
        for balance in balances
        if balance.line > 0
    }
    letter = renderer.render_letter(balances, account, at, contact_id=email.row.contact_id, runways=outlook.runways)
    # A lost reply: the bytes of before may have arrived, and these are others.
    message_id, message = letter.address(email.row.email_id, email.row.recipient, edition=email.lost + 1)
    resource, shown = max(lines.items(), key=lambda item: (is_owed(outlook, email, item[0]), item[1].line, item[0]))
    notice = line_notice_id(account.account_id, resource, shown.epoch, shown.line)
    return Draft(message_id, message, lines, notice)


def is_owed(outlook: Outlook, email: ClaimedEmail, resource: str) -> bool:
    return resource in owed_lines(outlook.letters, outlook.letters.contacts[email.row.recipient])
