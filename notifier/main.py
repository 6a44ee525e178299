"""The entry point of `notifier`."""

from meter.runtime.process.entry import start


def main() -> int:
    """Returns the exit code."""
    return start("notifier.cli")
