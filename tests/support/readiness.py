"""What /readyz of a real service says."""

import asyncio
import http.client
import json

from tests.support.processes import ServiceProcess


async def is_ready(service: ServiceProcess) -> bool:
    """Of one that runs: another one might have the port of one that ended."""
    return service.running and (await asyncio.to_thread(service.get, "/readyz"))[0] == http.client.OK


async def is_unready(service: ServiceProcess, dependency: str, words: str) -> bool:
    """Whether it is not ready, and says these words of the dependency."""
    status, text = await asyncio.to_thread(service.get, "/readyz")
    if status != http.client.SERVICE_UNAVAILABLE:
        return False
    report = json.loads(text)
    said = report["details"].get(dependency, {}).get("detail", "")
    return words in said and not report["dependencies"][dependency]
