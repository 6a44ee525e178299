"""Reads kafka-acls.txt: the rights of each process on Kafka."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ACLS: Final = Path(__file__).parent / "kafka-acls.txt"


@dataclass(frozen=True)
class Right:
    user: str
    operation: str
    kind: str
    name: str


def read_rights() -> list[Right]:
    lines = ACLS.read_text(encoding="utf-8").splitlines()
    return [Right(*line.split()) for line in lines if line and not line.startswith("#")]
