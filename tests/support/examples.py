"""How many random examples Hypothesis tries: a fifth each day, all with METERING_TEST_PROFILE=full (`.ci/run`)."""

import os

from hypothesis import HealthCheck, settings

PROFILE = "METERING_TEST_PROFILE"
DAILY, FULL = "daily", "full"
EXAMPLES = {DAILY: 20, FULL: 100}  # of a property that asks for no number of its own


class UnknownProfileError(Exception):
    """The environment names a profile that does not exist."""


def load_profile() -> None:
    """Set what later `@given` and `@settings` start from, so call it before the tests are imported."""
    name = os.environ.get(PROFILE) or DAILY
    if name not in EXAMPLES:
        raise UnknownProfileError(f"{PROFILE}={name} is no profile: take one of {', '.join(EXAMPLES)}")
    register_profiles()
    settings.load_profile(name)


def register_profiles() -> None:
    for name, number in EXAMPLES.items():
        # Tests run side by side with others, so the time of one example says nothing about the code.
        settings.register_profile(
            name, max_examples=number, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        )


def examples(full: int) -> int:
    """The number of examples in this profile, for a property that has `full` of them in the full one."""
    return full * settings().max_examples // EXAMPLES[FULL]
