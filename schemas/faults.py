"""What a validator found, in words for people: they follow the name of a field, "runs: is no whole number". Pure.

The validator's own words are for programmers ("Input should be a valid integer, unable to parse string as an integer").
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from schemas.fields import ACCOUNT_PATTERN, PLAN_PATTERN
from schemas.identity import ID_PATTERN

MAX_CHOICES: Final = 12  # more of them fill the screen, and the help has them
NO_FORM: Final = "does not have the form that is needed"
# Kinds of faults that pydantic has; `{…}` is what it says beside them.
WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "missing": "is missing",
        "string_type": "is no text",
        "string_unicode": "is no UTF-8 text",
        "string_too_short": "is empty",
        "string_too_long": "is longer than {max_length} characters",
        "too_long": "has more than {max_length} entries",
        "int_type": "is no whole number",
        "int_parsing": "is no whole number",
        "int_parsing_size": "is a number with too many digits",
        "int_from_float": "is no whole number",
        "float_type": "is no number",
        "float_parsing": "is no number",
        "decimal_type": "is no number",
        "decimal_parsing": "is no number",
        "finite_number": "is no finite number",
        "bool_type": "is neither true nor false",
        "bool_parsing": "is neither true nor false",
        "greater_than": "is not more than {gt}",
        "greater_than_equal": "is less than {ge}, the least that is taken",
        "less_than": "is not less than {lt}",
        "less_than_equal": "is more than {le}, the most that is taken",
        "tuple_type": "is no list",
        "list_type": "is no list",
        "dict_type": "is no JSON object",
        "model_type": "is no JSON object",
        "path_type": "is no path",
        "uuid_type": "is no id like 019b76da-a800-79ab-aa7b-5bf55eb561a4",
        "uuid_parsing": "is no id like 019b76da-a800-79ab-aa7b-5bf55eb561a4",
        "datetime_type": "is no time with its offset, like 2026-01-31T12:00:00Z",
        "timezone_aware": "is no time with its offset, like 2026-01-31T12:00:00Z",
        "extra_forbidden": "is not known here",
    }
)
PATTERNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        PLAN_PATTERN: "is not 1 to 64 of the letters a to z, digits, _ and -",
        ID_PATTERN: "is not 1 to 128 printable ASCII characters",
        ACCOUNT_PATTERN: "is not 1 to 128 of A-Z a-z 0-9 . _ : @ -",
    }
)


def explain_fault(kind: str, context: Mapping[str, Any], message: str, patterns: Mapping[str, str] = PATTERNS) -> str:
    """Of a fault as pydantic lists it. What our own validators raise has words for people already."""
    if kind == "string_pattern_mismatch":
        return patterns.get(context.get("pattern", ""), NO_FORM)
    if kind in ("literal_error", "enum"):
        return f"is none of {context['expected']}"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if kind in WORDS:
        return WORDS[kind].format_map({name: plain(value) for name, value in context.items()})
    # Ours are named by single words (amount, contacts, text, zone); a kind of pydantic's that we did not expect is not.
    return NO_FORM if "_" in kind or message.startswith(("Input ", "Value ")) else message


def plain(value: Any) -> Any:
    """A bound as people write it: 60, not 60.0."""
    return f"{value:g}" if isinstance(value, float) else value
