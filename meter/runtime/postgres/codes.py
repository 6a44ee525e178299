"""The codes that stored rows hold for event types and resources, and the limits of the contracts, by the names that
statements call them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from schemas.codes import ACCOUNT_CODES, CODES, PERSONAL_CODES, USAGE_CODES
from schemas.identity import OWN_SOURCE
from schemas.limits import (
    CATEGORIES,
    MAX_DAY_DEPLOYMENTS,
    MAX_DAY_NAMES,
    MAX_NAME_CHARS,
    MAX_SECONDS,
    MAX_SIZE,
    MAX_STATUS_CHARS,
    MAX_TOKENS,
    MODEL_TYPES,
    OTHER_NAME,
)
from schemas.resources import RESOURCE_CODES


def list_codes(codes: tuple[int, ...]) -> str:
    return ", ".join(map(str, codes))


# Each event type and resource has a placeholder of its own name. `usage`, `account` and `personal` are lists, for IN.
# The codes of usage have no gap and lie below all others, so statements compare with `first_usage` and `last_usage`: a
# range costs less than a list, and the partial index events_not_usage is made for it. `own_source` is the quoted text
# of the source of what the meter derives. Limits of fields for information are those of the contracts.
PLACEHOLDERS: Final[Mapping[str, str]] = MappingProxyType(
    {type: str(code) for type, code in CODES.items()}
    | {resource.value: str(code) for resource, code in RESOURCE_CODES.items()}
    | {
        "usage": list_codes(USAGE_CODES),
        "account": list_codes(ACCOUNT_CODES),
        "personal": list_codes(PERSONAL_CODES),
        "first_usage": str(USAGE_CODES[0]),
        "last_usage": str(USAGE_CODES[-1]),
        "own_source": f"'{OWN_SOURCE}'",
        "categories": ", ".join(f"'{category}'" for category in CATEGORIES),
        "model_types": ", ".join(f"'{kind}'" for kind in MODEL_TYPES),
        "name_chars": str(MAX_NAME_CHARS),
        "status_chars": str(MAX_STATUS_CHARS),
        "day_names": str(MAX_DAY_NAMES),
        "day_deployments": str(MAX_DAY_DEPLOYMENTS),
        "other_name": OTHER_NAME,
        "most_tokens": str(MAX_TOKENS),
        "most_seconds": str(MAX_SECONDS),
        "most_size": str(MAX_SIZE),
    }
)
