"""One history: steps of producers and processes in a random order, faults between them, then quiet."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from random import seed as seed_all
from typing import Any, Final
from uuid import UUID

from meter.runtime.errors import TransientError
from tests.simulation import judging, oracle
from tests.simulation.broker import Broker
from tests.simulation.database import LOSE, SHARDS, SWALLOW, Database
from tests.simulation.mail import MISBEHAVIOUR, MailServer
from tests.simulation.producer import Producer
from tests.simulation.recovery import read_sent, recall, recover
from tests.simulation.services import SERVICES, TWINS
from tests.simulation.virtual import IDLE, Process, Time, VirtualLoop, WallClock, simulated

STEPS: Final = 50
FAULT_SHARE: Final = 3 / STEPS
ACTION_SHARE: Final = 0.36
HOUR_S, DAY_S = 3700.0, 86_400.0  # a little more than an hour: what is sent now is then too early
FAULTS: Final = {
    "crash": 30, "lose commit": 8, "lose reply of commit": 12, "lose reply of publish": 8, "mail": 22, "twin": 5,
    "restore": 5, "clock": 5, "wait": 4,
}  # fmt: skip
PUBLISHERS: Final = ("meter relay", "relay", "notifier relay")
# Of quiet, 120 s each. A letter that was queued while the database's clock was a day ahead waits for 720 of them.
MOST_ROUNDS: Final = 1000
MOST_STEPS: Final = 1000  # of one process in a round


class World:
    """Servers, processes and people of one history."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.mattered: Counter[str] = Counter()  # faults by kind that struck what was under way
        self.time = Time()
        self.broker = Broker()
        self.service_clock, self.database_clock = WallClock(self.time), WallClock(self.time)
        self.database = Database(self.database_clock, self.mattered)
        self.mail = MailServer(self.mattered)
        self.lost_replies: dict[str, int] = {}
        self.producer = Producer(self.broker, self.time, self.rng)
        self.processes: dict[str, Process] = {}
        self.snapshot: Any = None
        self.restore_in = 0  # steps
        self.restores = 0
        self.arrived_at_first_restore = self.arrived_at_restore = 0  # letters; the second is of the last one
        self.told_outside: set[UUID] = set()  # letters whose end was published when the database went back
        self.bugs: list[str] = []  # what a process died of that is no fault from outside
        for name in SERVICES:
            self.start(name, name)

    # --- processes --------------------------------------------------------------------------------------------------

    def start(self, place: str, service: str) -> None:
        if place in self.processes:
            self.processes.pop(place).kill()
        self.processes[place] = Process(SERVICES[service](self))

    def go_on(self, place: str) -> str:
        """One process to its next place; one that fails is started again."""
        try:
            return self.processes[place].go_on()
        except TransientError:
            pass
        except Exception as error:
            self.bugs.append(f"{place} ended: {type(error).__name__}: {error}")
        del self.processes[place]
        self.start(place, place.partition("#")[0])
        return "restarted"

    def has_due_letter(self) -> bool:
        now = self.database_clock.now()
        return any(email.state == "queued" and email.due <= now for email in self.database.notices.emails.values())

    def recall(self) -> None:
        if not self.database.is_recalled:
            recall(self.database, self.broker)

    # --- faults -----------------------------------------------------------------------------------------------------

    def strike(self) -> tuple[str, str]:
        """A fault: its kind, and what it does. What it strikes is counted where it takes effect."""
        kind = self.rng.choices(list(FAULTS), list(FAULTS.values()))[0]
        words: str = getattr(self, "_" + kind.replace(" ", "_"))()
        return kind, words

    def _crash(self) -> str:
        place, was = self.find_busy()
        if "#" in place:
            self.processes.pop(place).kill()
        else:
            self.start(place, place)
        self.mattered["crash"] += was != IDLE
        return f"crash {place} at {was}"

    def find_busy(self) -> tuple[str, str]:
        """A process that has something to do, one step further, and where it stands; any, where none has."""
        places = list(self.processes)
        self.rng.shuffle(places)
        for place in places:
            was = self.go_on(place)
            if was != IDLE:
                break
        return place, was

    def _lose_commit(self) -> str:
        return self._spoil_commit(LOSE)

    def _lose_reply_of_commit(self) -> str:
        return self._spoil_commit(SWALLOW)

    def _spoil_commit(self, how: str) -> str:
        service = self.rng.choice(list(SERVICES))
        self.database.commits.faults[service].append(how)
        return f"{how} of the next transaction of {service}"

    def _lose_reply_of_publish(self) -> str:
        name = self.rng.choice(PUBLISHERS)
        self.lost_replies[name] = self.rng.randint(0, 3)
        return f"lose the next reply to {name}"

    def _mail(self) -> str:
        how = self.rng.choice(list(MISBEHAVIOUR))
        self.mail.misbehave += [(how, number) for number in range(self.rng.choice((1, 1, 2, 4)))]
        return f"mail {how}"

    def _twin(self) -> str:
        service = self.rng.choice(TWINS)
        self.start(f"{service}#2", service)
        self.mattered["twin"] += self.go_on(f"{service}#2") != IDLE
        return f"a second {service}"

    def _restore(self) -> str:
        """Take a backup, to be put back some steps later."""
        if self.snapshot is None:
            self.snapshot, self.restore_in = self.database.copy(), self.rng.randint(2, 20)
        return "what comes now is lost by a restore"

    def go_back(self) -> None:
        """All processes are stopped, the backup is put back, then `meter recover`."""
        self.database.put_back(self.snapshot)
        self.snapshot = None
        self.database.commits.faults.clear()
        self.told_outside |= read_sent(self.broker).keys()
        self.arrived_at_restore = len(self.mail.arrived)
        self.arrived_at_first_restore = self.arrived_at_first_restore if self.restores else self.arrived_at_restore
        recover(self.database, self.broker, force=True)
        self.restores += 1
        self.mattered["restore"] += 1
        for place in list(self.processes):
            self.processes.pop(place).kill()
        for name in SERVICES:
            self.start(name, name)

    def _clock(self) -> str:
        clock, name = self.rng.choice(((self.service_clock, "services"), (self.database_clock, "database")))
        clock.off_s = self.rng.choice((-HOUR_S, DAY_S)) if clock.off_s == 0 else 0.0
        self.mattered["clock"] += 1
        return f"clock of {name} off by {clock.off_s:.0f} s"

    def _wait(self) -> str:
        """As where the machine is suspended: claims run out, and who held them goes on."""
        seconds = self.rng.choice((60.0, 400.0, 4000.0))
        self.time.pass_s(seconds)
        self.mattered["wait"] += 1
        return f"{seconds:.0f} s pass"

    # --- steps ------------------------------------------------------------------------------------------------------

    def step(self) -> str:
        if self.snapshot is not None:
            self.restore_in -= 1
            if self.restore_in <= 0:
                self.go_back()
                return "restore"
        if self.rng.random() < ACTION_SHARE:
            return self.producer.act()
        place, was = self.find_busy()
        for _ in range(self.rng.randint(0, 12)):
            if was == IDLE:
                break
            self.time.pass_s(0.25)
            was = self.go_on(place)
        return f"{place} until {was}"

    def calm(self) -> bool:
        """Clocks are right again, nothing fails any more, rejected events are sent again; whether all came through."""
        if self.snapshot is not None:
            self.go_back()
        self._drain()
        self.service_clock.off_s = self.database_clock.off_s = 0.0
        self.database.commits.faults.clear()
        self.lost_replies.clear()
        self.mail.misbehave.clear()
        for sent in oracle.find_too_early(self):
            self.producer.send_again(sent)
        return self._drain()

    def _drain(self) -> bool:
        """Until nothing waits; False where a process never comes to rest, or something still waits after all."""
        for _ in range(MOST_ROUNDS):
            rested = [self._rest(place) for place in list(self.processes)]
            if None in rested:
                return False
            if any(rested):
                continue
            if not self.waits():
                return True
            self.time.pass_s(120)
        return False

    def _rest(self, place: str) -> bool | None:
        """Let a process go on until it has nothing to do; whether it had. None: it never comes to rest."""
        for steps in range(MOST_STEPS):
            if self.go_on(place) == IDLE:
                return steps > 0
        return None

    def waits(self) -> bool:
        notices = self.database.notices
        return (
            any(email.state == "queued" for email in notices.emails.values())
            or bool(notices.outbox)
            or any(self.database.folds.outbox)
            or any(self.database.events.held[shard] for shard in range(SHARDS))
        )


@dataclass
class Played:
    """A history that was played: what it held, and what is wrong with its end."""

    seed: int
    steps: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    mattered: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)


def play(seed: int, steps: int = STEPS, *, keep_steps: bool = False) -> Played:
    """The same seed gives the same history. The mailer draws its pauses from the module `random`."""
    seed_all(seed)
    played = Played(seed)
    world = World(seed)
    with simulated(VirtualLoop(world.time)):
        for _ in range(steps):
            world.time.pass_s(0.5)
            if world.rng.random() < FAULT_SHARE:
                kind, words = world.strike()
                played.faults[kind] += 1
            else:
                words = world.step()
            if keep_steps:
                played.steps.append(words)
        if not world.calm():
            played.findings.append("not through: something still waits")
        played.mattered = world.mattered
        played.findings += world.bugs
        played.findings += judging.judge(world)
        for process in world.processes.values():
            process.kill()
    return played
