"""The tabs of the billing page, and the kinds of usage that they are about."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Tab(StrEnum):
    OVERVIEW = "overview"
    TOOLS = "tools"
    MODELS = "models"
    GUARDRAILS = "guardrails"
    SCRIPTS = "scripts"
    HISTORY = "history"


TITLES: Final[Mapping[Tab, str]] = {
    Tab.OVERVIEW: "Overview",
    Tab.TOOLS: "Tools",
    Tab.MODELS: "Models",
    Tab.GUARDRAILS: "Guardrails",
    Tab.SCRIPTS: "Custom Scripts",
    Tab.HISTORY: "History",
}
# Of a tab of items: the kind in the catalogue, and the kind of its usage.
KINDS: Final[Mapping[Tab, tuple[str, str]]] = {
    Tab.TOOLS: ("tool", "tool_run"),
    Tab.MODELS: ("model", "model_inference"),
    Tab.GUARDRAILS: ("guardrail", "guardrail"),
    Tab.SCRIPTS: ("script", "custom_script"),
}
NOUNS: Final = {Tab.TOOLS: "tools", Tab.MODELS: "models", Tab.GUARDRAILS: "guardrails", Tab.SCRIPTS: "scripts"}
