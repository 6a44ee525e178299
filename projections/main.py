"""The entry point of `projections`."""

from meter.runtime.process.entry import start


def main() -> int:
    """Returns the exit code."""
    return start("projections.cli")
