"""What is installed under which name, for those who ask for its version."""

from typing import Final

DISTRIBUTION: Final = "credit-meter"
