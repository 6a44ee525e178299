"""What `meter recover` and the notifier's recall do after a restore, on simulated servers.

The proofs, the number of the generation and what is read back follow from the product's own code.
"""

from typing import TYPE_CHECKING
from uuid import UUID

from meter.recover import Outside, Place, note_record
from notifier.letters import TOLD_BY, Letters, Recalled, tell_recalled
from notifier.recall import Sent, decode, list_lines
from schemas.outputs import EmailEnded
from schemas.topics import BALANCES, NOTIFICATIONS
from tests.simulation.database import SHARDS, Database

if TYPE_CHECKING:
    from tests.simulation.broker import Broker


def recover(database: Database, broker: "Broker", *, force: bool) -> bool:
    """Whether a new generation begins: where anything outside proves that the database went back."""
    outside = Outside(committed=dict(broker.committed))
    for shard in range(SHARDS):
        for record in broker.logs[BALANCES, shard]:
            note_record(outside, record.value)
    places = [place_of(database, shard) for shard in range(SHARDS)]
    if not force and not any(outside.find_proofs(place) for place in places):
        return False
    number = 1 + max([*outside.generations.values(), *(place.generation for place in places)])
    begun = {
        place.shard: (*database.generations.get(place.shard, ()), (number, place.position + 1)) for place in places
    }
    database.generations = begun
    database.folds.republish = set(range(SHARDS))
    database.is_recalled = False
    for place in places:
        for topic, offset in place.offsets.items():
            broker.commit(topic, place.shard, offset)
    return True


def place_of(database: Database, shard: int) -> Place:
    held = database.events.shard(shard)
    read = database.notices.offsets[BALANCES, shard]
    generation = database.generation(shard)
    return Place(shard, generation, len(held.rows), len(held.log.hashes), *held.offsets, held.head, read)


def recall(database: Database, broker: "Broker") -> None:
    """Read back who was told what; what `find_forgotten`, `tell_recalled` and `end_recalled` do in SQL."""
    database.is_recalled = True
    notices = database.notices
    sent = read_sent(broker)
    forgotten = {number: told for number, told in sent.items() if is_forgotten(database, number)}
    addresses = {
        contact.contact_id: address
        for letters in notices.letters.values()
        for address, contact in letters.contacts.items()
    }
    for line in list_lines(forgotten, addresses, SHARDS):
        letters = notices.letters_of(line.account_id)
        known = letters.recalled.get(line.contact, Recalled(line.contact_id))
        key = line.resource, line.epoch
        lines = {**known.lines, key: max(line.line, known.lines.get(key, 0))}
        recalled = {**letters.recalled, line.contact: Recalled(line.contact_id, lines)}
        notices.letters[line.account_id] = tell_present(
            Letters(letters.is_open, letters.reached, letters.contacts, recalled), line.contact
        )
        end_waiting(database, line.email_id, sent[line.email_id][0].outcome)


def read_sent(broker: "Broker") -> Sent:
    events = decode(record.value for record in broker.logs[NOTIFICATIONS, 0])
    return {
        event.data.email_id: (event.data, event.envelope.time)
        for event in events
        if isinstance(event.data, EmailEnded) and event.data.outcome in TOLD_BY
    }


def is_forgotten(database: Database, number: UUID) -> bool:
    stored = database.notices.emails.get(number)
    return stored is None or stored.state == "queued"


def tell_present(letters: Letters, address: str) -> Letters:
    """What was told in the present epoch counts at once."""
    contact = letters.contacts.get(address)
    if contact is None:
        return letters
    for resource, reached in letters.reached.items():
        contact = tell_recalled(letters, address, contact, resource, reached)
    return letters.put(address, contact)


def end_waiting(database: Database, number: UUID, outcome: str) -> None:
    """A letter that waits here and was sent in the history that is lost."""
    stored = database.notices.emails.get(number)
    if stored is None or stored.state != "queued":
        return
    stored.state, stored.handed_over, stored.finished = outcome, False, database.clock.now()
    letters = database.notices.letters_of(stored.row.account_id)
    contact = letters.contacts[stored.row.recipient]
    ended = type(contact)(contact.contact_id, contact.is_contact, contact.refused, contact.told)
    database.notices.letters[stored.row.account_id] = letters.put(stored.row.recipient, ended)
