"""The read models by name, as people give them on a command line."""

from enum import StrEnum


class Model(StrEnum):
    BALANCES = "balances"
    USAGE = "usage"
    ACCOUNTS = "accounts"
