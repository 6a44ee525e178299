"""Histories of letters: one account for each, grouped by what works meanwhile. `was`: what came of it before letters
followed from told levels; where nothing was wrong, it says why not.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.e2e.letters_stage import (
    CLOSED,
    OPENED,
    REOPENED,
    RETRY,
    RUNS,
    Step,
    contacts,
    given_back,
    granted,
    opened,
    ran,
    revoked,
    used,
)

SOUND = "right before, too: a line was told once in an epoch"
AT_CROSSING = "right before, too: letters went to those who were contacts at the crossing"


@dataclass(frozen=True)
class Case:
    """`before`: while all works. `doubt`: mail arrives, the reply does not. `then`: what the group is about.

    `letters`: subjects by contact, in order, without the name of the account. `ends`: how letters ended, in order.
    `says`: what stands in the last letter. `states`: of each contact the highest line reached and who knows of it.
    `rules`: answers of the mail server to the owner, as arguments of `MailSink.rule`.
    """

    was: str
    then: tuple[Step, ...]
    letters: Mapping[str, tuple[str, ...]]
    ends: tuple[str, ...]
    before: tuple[Step, ...] = (OPENED,)
    doubt: tuple[Step, ...] = ()
    says: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    rules: tuple[Mapping[str, object], ...] = ()
    same_bytes: bool | None = None  # of letters that came more than once


def percent(*whole: int, of: str = "model credits") -> tuple[str, ...]:
    return tuple(f"{number} % of {of} used" for number in whole)


def owner(*whole: int) -> Mapping[str, tuple[str, ...]]:
    return {"owner": percent(*whole)}


ACCEPTED = ("accepted",)
BAD_ADDRESS = {"phase": "rcpt", "reply": "550 5.1.1 no such user"}
BAD_CONTENT = {"phase": "data", "reply": "554 5.6.0 not this one", "times": 1}
LOST_REPLY = {"phase": "dot", "reply": "drop", "keep": True}
POLICY = {"phase": "rcpt", "reply": "550 5.7.1 not from you", "times": 2}

MAIL_WORKS: dict[str, Case] = {
    "each-line": Case(SOUND, (used("37.5"), used("15"), used("7.5"), used("7.5")), owner(50, 70, 80, 90), ACCEPTED * 4),
    "reversed": Case(
        SOUND, (used("40", "a"), given_back("10", "a"), used("12")), owner(53), ACCEPTED, states=("owner 50 told",)
    ),
    "stays-above": Case(
        SOUND, (used("71.25"), granted(1)), owner(95), ACCEPTED, states=("owner 90 known",),
    ),
    "topped-up": Case(
        SOUND, (used("60"), granted(100), used("30"), used("35")), owner(80, 51, 71), ACCEPTED * 3,
        states=("owner 70 told",),
    ),
    "revoked": Case(
        "grants could not be taken back", (granted(25), used("45"), revoked(25)), owner(60), ACCEPTED,
        states=("owner 50 told",),
    ),
    "joined": Case(
        AT_CROSSING, (used("40"), contacts("owner", "second"), used("13")),
        {"owner": percent(53, 70), "second": percent(70)}, ACCEPTED * 3, states=("owner 70 told", "second 70 told"),
    ),
    "joined-silently": Case(
        AT_CROSSING, (used("40"), contacts("owner", "second")), {**owner(53), "second": ()}, ACCEPTED,
        states=("owner 50 told", "second 50 known"),
    ),
    "first-contact": Case(
        "nobody at 90 %, one added later: never told", (used("70"), contacts("owner")), owner(93), ACCEPTED,
        before=(opened(),), states=("owner 90 told",),
    ),
    "came-back": Case(
        "the one who came in between got nothing",
        (used("40"), contacts("second"), contacts("owner", "second")), {**owner(53), "second": percent(53)},
        ACCEPTED * 2, states=("owner 50 told", "second 50 told"),
    ),
    "came-back-later": Case(
        "nothing: letters went to those who were contacts at the crossing",
        (used("40"), contacts("second"), granted(100), used("50"), contacts("owner", "second")),
        {"owner": percent(53, 51), "second": percent(53, 51)}, ACCEPTED * 4,
        states=("owner 50 told", "second 50 told"),
    ),
    "spelled": Case(
        "the other spelling was another contact: a letter each", (used("40"), contacts("OWNER"), used("13")),
        {**owner(53, 70), "OWNER": ()}, ACCEPTED * 2, states=("owner 70 told",),
    ),
    "refused": Case(
        "tried at each line, and the notices said delivered", (used("40"), used("13"), used("8")), owner(),
        ("refused",), rules=(BAD_ADDRESS,), states=("owner 80 refused",),
    ),
    "refused-once": Case(
        "nothing could be done but wait for the next line",
        (used("40"), contacts("second"), contacts("second", "owner")), {**owner(53), "second": percent(53)},
        ("refused", "accepted", "accepted"), rules=({**BAD_ADDRESS, "times": 1},),
        states=("owner 50 told", "second 50 told"),
    ),
    "given-up": Case(
        "failed for good, and the notices said delivered", (used("40"), used("1")), owner(), ("given_up",),
        rules=(BAD_CONTENT,), states=("owner 50 given up",),
    ),
    "given-up-next": Case(
        "right before, too: each line had a letter of its own",
        (used("40"), used("13")), owner(70), ("given_up", "accepted"), rules=(BAD_CONTENT,),
    ),
    "given-up-epoch": Case(
        "a grant began an epoch with the line as known", (used("40"), granted(1)), owner(52),
        ("given_up", "accepted"), rules=(BAD_CONTENT,), states=("owner 50 told",),
    ),
    "retried": Case(
        "there was no way to send it again", (used("40"), RETRY), owner(53), ("given_up", "accepted"),
        rules=(BAD_CONTENT,), states=("owner 50 told",),
    ),
    "presumed": Case(
        "30 copies", (used("40"),), owner(53, 53, 53), ("presumed",), rules=(LOST_REPLY,), same_bytes=True,
        states=("owner 50 told",),
    ),
    "one-reply-lost": Case(
        "right before, too: the bytes were kept", (used("40"),), owner(53, 53), ACCEPTED,
        rules=({**LOST_REPLY, "times": 1},), same_bytes=True,
    ),
    "policy": Case(
        "failed for good at the first refusal", (used("40"),), owner(53), ACCEPTED, rules=(POLICY,),
        states=("owner 50 told",),
    ),
    "capped": Case(
        "no limit: a script that tops up and uses up sent a letter a minute",
        (used("37.5"), used("15"), used("7.5"), used("7.5"), granted(100), used("30"), used("40")),
        owner(50, 70, 80, 90), (*ACCEPTED * 4, "capped", "queued"), states=("owner 70 capped",),
    ),
    "told-and-closed": Case(
        "accounts could not be closed", (used("60"), CLOSED, used("8"), REOPENED), owner(80, 90), ACCEPTED * 2,
        states=("owner 90 told",),
    ),
    "before-opening": Case(
        "80 % used before the opening: all lines silent", (used("60"), OPENED), owner(80), ACCEPTED, before=(),
        states=("owner 80 told",),
    ),
}  # fmt: skip

NO_MAIL: dict[str, Case] = {
    "storm": Case(
        "six letters in any order, 90 before 50, and the last one said 80 %",
        (used("38"), used("15"), ran(5000), used("7.5"), used("7.5"), ran(2100), used("10")),
        {"owner": ("104 % of model credits and 71 % of tool runs used, model calls refused",)}, ACCEPTED,
        says=("78 of 75 model credits (104 %)", "7,100 of 10,000 tool runs (71 %)", "refused now"),
        states=("owner 70 told", "owner 90 told"),
    ),
    "both": Case(
        "a letter for each resource", (used("40"), ran(9000)),
        {"owner": ("90 % of tool runs and 53 % of model credits used",)}, ACCEPTED,
        states=("owner 50 told", "owner 90 told"),
    ),
    "goodwill": Case(
        "dropped, nobody told", (used("71.25"), granted(1)), owner(93), ACCEPTED,
        says=("Used:       71.25 of 76 model credits (93 %)",), states=("owner 90 told",),
    ),
    "used-up-again": Case(
        "no letter, and the notice said delivered", (used("40", "a"), given_back("10", "a"), used("12")), owner(56),
        ACCEPTED, states=("owner 50 told",),
    ),
    "replaced": Case(
        "the successor got nothing", (used("70"), contacts("successor")), {**owner(), "successor": percent(93)},
        ("cancelled", "accepted"), states=("owner 90 no contact any more", "successor 90 told"),
    ),
    "respelled": Case(
        "dropped: the address seemed to be another", (used("40"), contacts("OWNER")), {**owner(53), "OWNER": ()},
        ACCEPTED, states=("owner 50 told",),
    ),
    "left-and-back": Case(
        "dropped when they left, and never made again", (used("40"), contacts("second"), contacts("second", "owner")),
        {**owner(53), "second": percent(53)}, ACCEPTED * 2, states=("owner 50 told", "second 50 told"),
    ),
    "higher-line": Case(
        "two letters in any order, both with the figures of their crossing", (used("40"), used("30")), owner(93),
        ACCEPTED, says=("Used:       70 of 75",), states=("owner 90 told",),
    ),
    "cancelled": Case(
        "published as email.failed", (used("40"), granted(100)), owner(), ("cancelled",),
        states=(),
    ),
    "lapsed": Case(
        "dropped without a word", (used("40", "a"), given_back("10", "a")), owner(), ("cancelled",),
        states=("owner 50 no longer reached",),
    ),
    "closed": Case(
        "accounts could not be closed", (used("60"), CLOSED), owner(), ("cancelled",),
        states=("owner 80 account closed",),
    ),
    "reopened": Case(
        "accounts could not be closed", (used("60"), CLOSED, REOPENED), owner(80), ACCEPTED,
        states=("owner 80 told",),
    ),
    "nobody": Case(
        "right before, too: there was nobody to write to", (used("60"),), owner(), (), before=(opened(),),
        states=("nobody 80 nobody",),
    ),
    "doubt-repeated": Case(
        "repeated, up to 30 times", (), owner(53, 53), ACCEPTED, doubt=(used("40"),), same_bytes=True,
        states=("owner 50 told",),
    ),
    "doubt-higher": Case(
        "the old letter once more, then the new one", (used("13"),), owner(53, 70), ("presumed", "accepted"),
        doubt=(used("40"),), states=("owner 70 told",),
    ),
    "doubt-ended": Case(
        "repeated although untrue", (granted(100),), owner(53), ("presumed",), doubt=(used("40"),),
    ),
    "doubt-epoch": Case(
        "repeated with the figures of the epoch before", (granted(1),), owner(53, 52), ACCEPTED, doubt=(used("40"),),
        same_bytes=False, states=("owner 50 told",),
    ),
}  # fmt: skip

NO_NOTIFIER: dict[str, Case] = {
    "late": Case(
        "50, 70, 90 and 80 within 0.4 s",
        (used("38"), used("15"), used("7.5"), used("7.5"), used("10")),
        {"owner": ("104 % of model credits used, model calls refused",)}, ACCEPTED, states=("owner 90 told",),
    ),
    "late-grant": Case(
        "the letter of the line that the grant ended", (used("40"), granted(100)), owner(), (), states=(),
    ),
    "late-contact": Case(
        "a letter to each of those who had left", (used("60"), contacts("second"), contacts("third")),
        {"owner": (), "second": (), "third": percent(80)}, ACCEPTED, states=("third 80 told",),
    ),
    "late-runs": Case(
        "right before, too: another resource", (ran(5000), ran(3000), granted(100_000, RUNS), used("60")), owner(80),
        ACCEPTED, states=("owner 80 told",),
    ),
}  # fmt: skip

RELAY_REFUSES: dict[str, Case] = {
    f"relay-{number}": Case("every letter failed for good", (used("40"),), owner(53), ACCEPTED) for number in (1, 2)
}

BURST: dict[str, Case] = {
    "burst": Case(
        "four letters within 0.3 s", (used("38"), used("15"), used("7.5"), used("7.5")), owner(90), ACCEPTED,
        states=("owner 90 told",),
    ),
    "burst-of-both": Case(
        "a letter for each line of each resource", (used("38"), ran(5000), used("15"), ran(4000)),
        {"owner": ("90 % of tool runs and 70 % of model credits used",)}, ACCEPTED,
    ),
}  # fmt: skip

# 50, 70, 80 and 90 before, 30 and 60 as well from then on.
OTHER_THRESHOLDS: dict[str, Case] = {
    "lower-line": Case("told at once that 30 % are used", (), owner(), (), before=(OPENED, used("25"))),
    "lower-line-next": Case(
        "right before, too: with the next change", (used("0.75"),), owner(34), ACCEPTED, before=(OPENED, used("25")),
        states=("owner 30 told",),
    ),
    "told-line": Case(
        "told again at 60 % after 70 %", (used("0.75"),), owner(74), ACCEPTED, before=(OPENED, used("55.5")),
        states=("owner 70 told",),
    ),
}  # fmt: skip
