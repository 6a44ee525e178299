"""What happens while the story is played, as lines for people: banners and emails, as they come."""

import asyncio
import json
import time
from collections import Counter
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.local.mail import Inbox
from schemas.figures import UNITS
from schemas.topics import NOTIFICATIONS

POLL_MS = 100


class Screen:
    """Lines with the seconds since the start; plain text, so that it reads the same in a pipe."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def say(self, what: str, text: str) -> None:
        print(f"{time.monotonic() - self._start:6.1f} s  {what:<10} {text}", flush=True)


class Watch:
    """Shows banner events and mails until cancelled, and counts them."""

    def __init__(self, screen: Screen, bootstrap: str, mail: Inbox) -> None:
        self._screen = screen
        self._bootstrap = bootstrap
        self._mail = mail
        self.banners: Counter[str] = Counter()
        self.mails_shown = 0

    async def run(self, partitions: int) -> None:
        await asyncio.gather(self._watch_banners(partitions), self._watch_mails())

    async def _watch_banners(self, partitions: int) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            consumer.assign([TopicPartition(NOTIFICATIONS, n) for n in range(partitions)])
            seen: set[str] = set()
            while True:
                for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                    for record in records:
                        self._show(json.loads(record.value), seen)
        finally:
            await consumer.stop()

    def _show(self, event: dict[str, Any], seen: set[str]) -> None:
        if event["id"] in seen or not event["type"].startswith("banner."):
            return
        seen.add(event["id"])
        self.banners[event["type"]] += 1
        data = event["data"]
        verb = event["type"].split(".")[1]
        where = f"{data['account_id']}, {UNITS[data['resource']][1]}"
        if verb == "cleared":
            self._screen.say("banner", f"{where}: cleared")
            return
        kind = "removable" if data["removable"] else "fixed"
        self._screen.say("banner", f"{where}: {verb} to {data['threshold']} % ({kind}) {data['text']}")

    async def _watch_mails(self) -> None:
        while True:
            mails = self._mail.mails
            for mail in mails[self.mails_shown :]:
                self._screen.say("email", f"{mail.recipients[0]}: {mail.message['Subject']}")
            self.mails_shown = len(mails)
            await asyncio.sleep(POLL_MS / 1000)
