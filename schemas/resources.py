"""What can be used up."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Resource(StrEnum):
    MODEL_CREDITS = "model_credits"
    TOOL_RUNS = "tool_runs"


# Codes of the event store's table `meter.resources`; never reused.
RESOURCE_CODES: Final[Mapping[Resource, int]] = MappingProxyType({Resource.MODEL_CREDITS: 1, Resource.TOOL_RUNS: 2})
RESOURCES_BY_CODE: Final[Mapping[int, Resource]] = MappingProxyType({code: r for r, code in RESOURCE_CODES.items()})
