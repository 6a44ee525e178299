"""What a campaign on a broker runs on: a database, topics and services of its own."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from deploy.local.stack import Addresses
from meter.runtime.postgres import opened_pool
from meter.settings import MeterSettings
from tests.fuzz.batch_level import BatchCampaign
from tests.support.databases import Databases
from tests.support.meter import set_up_meter
from tests.support.processes import Processes

PARTITIONS: Final = 3
# Hostile openings may have contacts. Nothing listens there: letters wait.
MAIL: Final = {"smtp_host": "127.0.0.1", "smtp_port": "1", "mail_from": "credits@example.com"}


@asynccontextmanager
async def open_campaign(addresses: Addresses, seed: int, kept: Path, logs: Path) -> AsyncIterator[BatchCampaign]:
    databases = Databases(addresses.postgres_dsn)
    dsn = await databases.create()
    values: dict[str, Any] = {
        "postgres_dsn": dsn, "kafka_bootstrap": addresses.kafka_bootstrap, "partitions": PARTITIONS,
        "topic_prefix": f"fuzz{uuid.uuid4().hex[:8]}.", "replication_factor": 1, "http_port": 0,
        "log_level": "warning",
    }  # fmt: skip
    await set_up_meter(values)
    settings = MeterSettings(**values)
    processes = Processes({f"METERING_{name.upper()}": str(value) for name, value in values.items()}, logs)
    try:
        async with opened_pool(settings, "fuzz") as pool:
            services = {name: processes.start(name) for name in ("meter", "projections")}
            services["notifier"] = processes.spawn("notifier", **MAIL)  # never ready without a mail server
            yield BatchCampaign(settings, pool, services, seed, kept)
    finally:
        processes.close()
        await databases.drop(dsn)
