"""Reading what EXPLAIN says."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import asyncpg

Plan = Mapping[str, Any]
MODES = ("force_generic_plan", "force_custom_plan")  # as `plan_cache_mode`: both ways to plan a prepared statement


async def explain(connection: asyncpg.Connection, statement: str) -> list[Plan]:
    """All nodes of the statement's plan."""
    return list(walk(json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement}"))[0]["Plan"]))


def walk(node: Plan) -> Iterator[Plan]:
    yield node
    for child in node.get("Plans", ()):
        yield from walk(child)
