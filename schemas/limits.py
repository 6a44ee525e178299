"""Limits and fixed words of fields that are for information: for the models, and for statements that apply them."""

from typing import Final, Literal, get_args

MAX_NAME_CHARS: Final = 256
# Names of an account and day with lines of their own in usage; what is used of others is one line, of this name.
MAX_DAY_NAMES: Final = 1_000
# Pairs of deployment and status of these names, together; what is beyond them has the name below in their place.
MAX_DAY_DEPLOYMENTS: Final = 5_000
OTHER_NAME: Final = "other"
MAX_STATUS_CHARS: Final = 64  # of how usage ended; usage is counted by its beginning
MAX_RUNS: Final = 1_000_000
MAX_TOKENS: Final = 10**15
MAX_SECONDS: Final = 10**9
MAX_SIZE: Final = 10**6  # replicas, CPUs, GB of memory
Category = Literal["inference", "fine_tuning", "hosting", "storage"]
CATEGORIES: Final[tuple[str, ...]] = get_args(Category)
ModelType = Literal["base", "fine_tuned"]
MODEL_TYPES: Final[tuple[str, ...]] = get_args(ModelType)
