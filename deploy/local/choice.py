"""Choosing a server: the first candidate that can be had, with the reasons against those before it."""

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from deploy.local.child import UnavailableError

T = TypeVar("T")


class Candidate(NamedTuple, Generic[T]):
    name: str
    missing: Callable[[], str | None]  # quick, changes nothing: why it cannot be had, or None
    start: Callable[[], T]  # may take its time, and may still raise UnavailableError


class Picked(NamedTuple, Generic[T]):
    name: str
    server: T
    passed_over: tuple[str, ...]  # "name: reason"


class Forecast(NamedTuple):
    """What will be picked as far as a quick look can tell."""

    name: str | None
    passed_over: tuple[str, ...]


def forecast(candidates: Sequence[Candidate[T]], forced: str | None = None) -> Forecast:
    passed_over: list[str] = []
    for candidate in admit(candidates, forced):
        reason = candidate.missing()
        if reason is None:
            return Forecast(candidate.name, tuple(passed_over))
        passed_over.append(f"{candidate.name}: {reason}")
    return Forecast(None, tuple(passed_over))


def pick(candidates: Sequence[Candidate[T]], forced: str | None = None) -> Picked[T]:
    """Start the first candidate that can be had; a forced one is the only one. UnavailableError gives the reasons."""
    passed_over: list[str] = []
    for candidate in admit(candidates, forced):
        reason = candidate.missing()
        if reason is None:
            try:
                return Picked(candidate.name, candidate.start(), tuple(passed_over))
            except UnavailableError as error:
                reason = str(error)
        passed_over.append(f"{candidate.name}: {reason}")
    raise UnavailableError("; ".join(passed_over))


def admit(candidates: Sequence[Candidate[T]], forced: str | None) -> Sequence[Candidate[T]]:
    if forced is None:
        return candidates
    chosen = [candidate for candidate in candidates if candidate.name == forced]
    if not chosen:
        names = ", ".join(candidate.name for candidate in candidates)
        raise UnavailableError(f"there is no {forced!r} to be forced; there are: {names}")
    return chosen
