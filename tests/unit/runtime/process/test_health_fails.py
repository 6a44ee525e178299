"""A bug in what a health port is asked for is answered and logged."""

import asyncio
import urllib.error
import urllib.request

import pytest
from structlog.testing import capture_logs

from meter.runtime.process.health import Health, HealthServer


def ask(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
        return int(answer.status)


async def test_a_question_that_fails_is_answered_and_logged_with_its_cause() -> None:
    health = Health()
    health.watch("broken", lambda: 1 // 0)
    async with HealthServer(health, "127.0.0.1", 0) as server:
        with capture_logs() as logged, pytest.raises(urllib.error.HTTPError) as refused:
            await asyncio.to_thread(ask, server.port)
    refused.value.close()
    assert refused.value.code == 500
    [line] = [each for each in logged if each["event"] == "health_answer_failed"]
    assert line["log_level"] == "error" and line["exc_info"]
