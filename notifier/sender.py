"""Who writes the letters. Apart from their rendering: the settings need no templates."""

from dataclasses import dataclass
from urllib.parse import quote
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Sender:
    """Who the emails are from, and where they lead. `reply_to` is where an answer goes, by default the sender."""

    address: str
    name: str = "Credit Meter"
    reply_to: str | None = None
    product: str = "the agent platform"
    billing_url: str | None = None
    support_url: str | None = None
    support_email: str | None = None
    unsubscribe_url: str | None = None

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    @property
    def whom_to_ask(self) -> str:
        """For readers, where no setting says how to reach support."""
        return self.reply_to or f"the people who run {self.product}"

    def unsubscribe_link(self, account_id: str, contact_id: UUID | None) -> str | None:
        """Where one contact of an account asks for no more letters."""
        if self.unsubscribe_url is None:
            return None
        contact = str(contact_id) if contact_id is not None else ""
        return self.unsubscribe_url.replace("{account}", quote(account_id, safe="")).replace("{contact}", contact)
