"""What an oracle has to say: findings, each under one of the counters of the summary line."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

COUNTERS = ("lost", "doubled", "notices_missing", "notices_doubled", "emails_lost")
LISTED = 8  # findings of one kind that are listed in full


@dataclass(frozen=True, slots=True)
class Finding:
    counter: str
    check: str
    detail: str


@dataclass
class Findings:
    """Collects; the counts are complete, the details are the first few of each kind."""

    counts: Counter[str] = field(default_factory=Counter)
    emails_ambiguous: int = 0
    listed: list[Finding] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)  # how much was checked
    _by_check: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, counter: str, check: str, detail: str) -> None:
        if counter not in COUNTERS:
            raise ValueError(counter)
        self.counts[counter] += 1
        self._by_check[counter, check] += 1
        if self._by_check[counter, check] <= LISTED:
            self.listed.append(Finding(counter, check, detail))

    @property
    def clean(self) -> bool:
        return not any(self.counts.values())

    def lines(self) -> Iterator[str]:
        for (counter, check), count in sorted(self._by_check.items()):
            yield f"{counter}: {count} × {check}"
            for finding in self.listed:
                if (finding.counter, finding.check) == (counter, check):
                    yield f"    {finding.detail}"
