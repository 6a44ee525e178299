"""Which fault happens when: drawn from the seed alone, so that a seed gives the same schedule again. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random

SERVICES = ("meter", "projections", "notifier")
SESSION_S = 3.0  # of the consumer groups in a campaign
LONG_PAUSE_S = SESSION_S + 2  # a process that sleeps so long wakes as a zombie

FAULT_POINTS: Mapping[str, tuple[str, ...]] = {
    "meter": ("after_fetch", "after_compare_and_set", "in_copy", "before_commit", "after_commit"),
    "projections": (
        *("after_fetch", "before_commit", "after_commit"),
        *("outbox_before_publish", "outbox_between_publish_and_delete"),
    ),
    "notifier": (
        *("after_fetch", "after_compare_and_set", "before_commit", "after_commit"),
        *("outbox_before_publish", "outbox_between_publish_and_delete"),
        *("email_before_dot", "email_between_dot_and_record"),
    ),
}
SMTP_REPLIES: Mapping[str, tuple[str, ...]] = {
    "greeting": ("421 4.3.2 too busy", "554 5.3.2 no service here", "drop", "xyzzy"),
    "ehlo": ("421 4.3.2 closing", "drop", "451 4.3.0 not now"),
    "mail": ("451 4.3.0 later", "421 4.3.2 closing", "550 5.7.1 sender refused", "drop", "what?"),
    "rcpt": ("450 4.2.1 busy", "550 5.1.1 no such user", "421 4.3.2 closing", "drop"),
    "data": ("451 4.3.0 later", "554 5.6.0 refused", "drop"),
    "body": ("drop",),
    "dot": ("451 4.3.0 later", "552 5.2.2 full", "421 4.3.2 closing", "drop", "drop", "no number here"),
}
# Rough shares; every fault is counted only when it has really hit something.
USUAL_MIX: Mapping[str, float] = {
    "kill": 26,
    "point_kill": 12,
    "point_stop": 3,
    "point_raise": 4,
    "pause": 7,
    "join": 5,
    "terminate_backends": 10,
    "cut": 5,
    "reset": 5,
    "hold": 6,
    "strand": 2,
    "refuse": 2,
    "swallow_commit": 6,
    "lose_commit": 3,
    "smtp": 14,
    "crash_postgres": 1.5,
    "crash_kafka": 1.2,
}
SMTP_LINK, KAFKA_LINK = "smtp", "kafka"
LINKS = (*SERVICES, KAFKA_LINK, SMTP_LINK)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault to come. What a kind does not need keeps its default."""

    kind: str
    pause_s: float  # since the one before
    target: str = ""  # a service, or a link
    lasts_s: float = 0.0
    count: int = 1
    point: str = ""
    passing: int = 1
    phase: str = ""
    reply: str = ""
    keep: bool = False
    choice: float = 0.0  # in [0, 1): which of several instances

    def __str__(self) -> str:
        words = [self.kind, self.target, self.point or self.phase, self.reply]
        return " ".join(filter(None, words)) + (f" {self.lasts_s:.1f} s" if self.lasts_s else "")


@dataclass(frozen=True, slots=True)
class Focus:
    """What a schedule draws from; the usual one has everything."""

    mix: Mapping[str, float] = field(default_factory=lambda: USUAL_MIX)
    services: tuple[str, ...] = SERVICES
    links: tuple[str, ...] = LINKS
    fault_points: tuple[str, ...] = ()  # none: all of the service
    phases: tuple[str, ...] = tuple(SMTP_REPLIES)
    long: float = 0.3  # share of pauses past the session timeout, and of long holds


# On a Citus cluster nodes crash one at a time, and the links to its workers are struck as well.
WORKERS = ("worker-1", "worker-2")
CLUSTER = Focus({**USUAL_MIX, "crash_postgres": 8}, links=(*LINKS, *WORKERS))


def make_schedule(seed: int, mean_pause_s: float, focus: Focus | None = None) -> Iterator[Fault]:
    """Faults without end."""
    rng = Random(f"schedule:{seed}")
    focus = focus or Focus()
    kinds, weights = list(focus.mix), list(focus.mix.values())
    while True:
        kind, pause_s = rng.choices(kinds, weights)[0], min(rng.expovariate(1 / mean_pause_s), 5 * mean_pause_s)
        yield draw(kind, pause_s, rng, focus)


def draw(kind: str, pause_s: float, rng: Random, focus: Focus) -> Fault:
    # Always the same number of draws, so that one kind of fault does not change the others.
    service, link, choice, size = rng.choice(focus.services), rng.choice(focus.links), rng.random(), rng.random()
    passing = 1 + int(rng.random() ** 2 * 30)
    point = rng.choice(focus.fault_points or FAULT_POINTS[service])
    phase = rng.choice(focus.phases)
    reply = rng.choice(SMTP_REPLIES[phase])
    keep = rng.random() < 0.6
    long = rng.random() < focus.long
    if kind in ("point_kill", "point_stop", "point_raise"):
        passing = 1 + passing // 6 if point.startswith("email") else passing
        lasts_s = (LONG_PAUSE_S + size if long else 3 * size) if kind == "point_stop" else 0.0
        return Fault(kind, pause_s, service, lasts_s, point=point, passing=passing)
    if kind == "pause":
        return Fault(kind, pause_s, service, LONG_PAUSE_S + 2 * size if long else 0.2 + 2 * size, choice=choice)
    if kind == "join":
        return Fault(kind, pause_s, service, 8 + 30 * size)
    if kind in ("hold", "refuse"):
        return Fault(kind, pause_s, link, 0.3 + (6 if long else 2) * size)
    if kind == "strand":
        return Fault(kind, pause_s, service, 0.5 + size, choice=choice)  # for what is under way to reach the producer
    if kind in ("cut", "reset"):
        return Fault(kind, pause_s, link)
    if kind in ("swallow_commit", "lose_commit"):
        return Fault(kind, pause_s, service, count=1 + int(3 * size))
    if kind == "smtp":
        # A reply that never came may stand for an accepted mail; one that says no may not.
        silent = reply[:1] not in "245"
        stall_s = 3 * size if rng.random() < 0.25 else 0.0
        return Fault(
            kind, pause_s, SMTP_LINK, stall_s, 1 + int(4 * choice), phase=phase, reply=reply, keep=keep and silent
        )
    if kind in ("crash_postgres", "crash_kafka"):
        return Fault(kind, pause_s, kind.removeprefix("crash_"), size)
    return Fault(kind, pause_s, service, choice=choice)
