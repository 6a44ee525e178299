"""The short form: the same histories each time. The long one is `make simulation`."""

import os

from tests.simulation.campaign import Tally, play_range
from tests.simulation.play import FAULTS, STEPS, play

HISTORIES = int(os.environ.get("METERING_TEST_SIMULATIONS", "300"))


def test_every_history_ends_as_the_ledger_says() -> None:
    tally = play_range(range(HISTORIES))
    assert tally.failed == {}
    mean = sum(tally.faults.values()) / tally.histories
    assert 2.5 < mean < 3.5
    assert_all_matter(tally)


def assert_all_matter(tally: Tally) -> None:
    """A fault that strikes nothing proves nothing."""
    for kind in FAULTS:
        assert tally.mattered[kind] > 0 or tally.histories < 200, kind


def test_a_seed_gives_the_same_history_again() -> None:
    one, again = (play(7, STEPS, keep_steps=True) for _ in range(2))
    assert one == again
    assert len(one.steps) == STEPS
    assert play(8, STEPS, keep_steps=True).steps != one.steps


# Seeds that found something, of the histories as they are drawn now: a change of the drawing makes them others.
FOUND = {
    80: "a restored notifier read an account whose contacts the restored projections did not know yet",
    5271: "projections that were restored tell an older state than the notifier knows",
    1_000_010: "a grant behind a revocation counted for it where both were read in one batch",
    1_008_837: "letters that were queued while the database's clock was a day ahead are late by a day, not lost",
    1_033_612: "a letter that nobody knew to have arrived counted as accepted after a restore",
}


def test_what_was_found_stays_mended() -> None:
    assert {seed: play(seed).findings for seed in FOUND} == {seed: [] for seed in FOUND}
