"""The entry point of `meter`."""

from meter.runtime.process.entry import start


def main() -> int:
    """Returns the exit code."""
    return start("meter.cli")
