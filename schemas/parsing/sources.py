"""Which sources may report usage of which accounts, where the installation says so. Pure.

It keeps a service from charging accounts by mistake. It is no protection: whoever may write a topic can write any
source in it.
"""

import json
import re
from collections.abc import Mapping
from typing import Final

from schemas.reasons import Reason
from schemas.records import Limits, Outcome, Record, Rejected, Remarked
from schemas.topics import USAGE

PATTERN: Final = re.compile(r"[A-Za-z0-9._:@*-]{1,128}")


def parse_sources(text: str) -> Mapping[str, str]:
    """Sources and patterns of a JSON object. Raises ValueError."""
    try:
        allowed = json.loads(text)
    except ValueError as error:
        raise ValueError(f'is no JSON object like {{"//tools.example.com": "team-a-*"}}: {error}') from None
    if not isinstance(allowed, dict) or not all(isinstance(pattern, str) for pattern in allowed.values()):
        raise ValueError('is no JSON object of texts, like {"//tools.example.com": "team-a-*"}')
    return allowed


def compile_sources(allowed: Mapping[str, str]) -> Mapping[str, re.Pattern[str]] | None:
    """Of each source the accounts that it may charge: an account id in which `*` stands for any characters. None where
    nothing is limited. Raises ValueError."""
    for source, pattern in allowed.items():
        if not source or not PATTERN.fullmatch(pattern):
            raise ValueError(
                f'"{source}": "{pattern}" is not a source and an account id, in which * stands for anything'
            )
    compiled = {s: re.compile(".*".join(map(re.escape, pattern.split("*")))) for s, pattern in allowed.items()}
    return compiled or None


def judge_source(outcome: Outcome, record: Record, limits: Limits) -> Outcome:
    """What becomes of an outcome when its source is looked at; only usage is."""
    if limits.sources is None or record.topic != USAGE or isinstance(outcome, Rejected):
        return outcome
    known = outcome.event if isinstance(outcome, Remarked) else outcome
    pattern = limits.sources.get(known.source)
    if pattern is not None and pattern.fullmatch(known.account_id):
        return outcome
    what = "is not listed" if pattern is None else f"may not charge account {known.account_id}"
    return Rejected(record, Reason.SOURCE_NOT_ALLOWED, f"source {known.source[:256]} {what}")
