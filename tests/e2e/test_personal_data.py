"""What the services publish and log names nobody: searched for on the real stack, in every record and every line."""

from functools import partial

from schemas.resources import Resource
from schemas.topics import ACCOUNTS, ANCHORS, BALANCES, NOTIFICATIONS
from tests.e2e.running import WAIT_S, Running
from tests.support.searching import find
from tests.support.waiting import until

ANN, BOB, EVE = "ann.person@example.com", "Bob.Person@bücher.example", "eve.person@example.com"
BOB_TAKEN = "Bob.Person@xn--bcher-kva.example"
NAME, LATER = "Person & Example", "Somebody Else"
PERSONAL = (ANN, BOB, BOB_TAKEN, EVE, NAME, LATER, "ann.person", "bob.person", "eve.person")


async def knows(running: Running, address: str) -> bool:
    return bool(await running.pool.fetchval("SELECT count(*) FROM notifier.contacts WHERE contact = $1", address))


async def test_what_is_published_and_logged_names_nobody(running: Running) -> None:
    """Also where a mail server repeats the recipient in what it answers."""
    running.mail.rule("rcpt", f"550 5.1.1 <{EVE}>: eve.person is unknown here", recipient=EVE)
    await running.accounts.opened("acct-1", plan="free", contacts=[ANN, EVE], display_name=NAME)
    await running.accounts.flush()
    running.ledger.open("acct-1")
    await running.settle()
    await running.use_settled("acct-1", Resource.MODEL_CREDITS, "40")
    await running.accounts.renamed("acct-1", display_name=LATER)
    await running.accounts.contacts_changed("acct-1", contacts=[BOB, ANN])
    await running.accounts.flush()
    await until(partial(knows, running, BOB_TAKEN), WAIT_S, "the notifier knows the new contact")
    await running.use_settled("acct-1", Resource.MODEL_CREDITS, "20")
    published = await running.read_values((BALANCES, NOTIFICATIONS, ANCHORS))
    assert any(b"account.changed.v2" in value for value in published)
    assert any(b"email.ended.v2" in value and b"refused" in value for value in published)
    assert any(b"banner.raised.v1" in value for value in published)
    assert find(published, *PERSONAL) == []
    logged = [process.output().encode() for process in running.services.values()]
    assert all(logged) and find(logged, *PERSONAL) == []
    # The letters went to them, by their names; and the search can find, where they came in.
    assert [len(running.mail.sent_to(address)) for address in (ANN, BOB_TAKEN)] == [2, 1]
    assert NAME in str(running.mail.sent_to(ANN)[0].message["Subject"])
    assert LATER in str(running.mail.sent_to(ANN)[1].message["Subject"])
    came_in = await running.read_values((ACCOUNTS,))
    assert find(came_in, ANN, EVE, NAME, LATER, "bob.person") == [ANN, EVE, NAME, LATER, "bob.person"]
