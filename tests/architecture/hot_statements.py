"""What the services run for each batch, letter and message, with arguments of shard 0, and what asks all shards."""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final

from meter.runtime.postgres.snapshot import join_statements

NOW: Final = dt.datetime(2026, 11, 24, 9, 30, tzinfo=dt.UTC)
DAY: Final = NOW.date()
ID: Final = uuid.UUID(int=7)
RANGE: Final = ([0], [0], [100])  # shards, after, up to
ACCOUNT: Final = (["a"], [0])  # accounts, shards
Arguments = tuple[Any, ...]
Statements = Mapping[str, Arguments]

METER: Final[Statements] = {
    "advance_shard": (0, 0, 0, 1, 1),
    "find_known": (0, b"x" * 64),
    "find_known_old": (0, f"{{{ID}}}"),
    "append_duplicates": (0, NOW, ["metering.usage"], [1], ["a"], [None]),
    "append_gaps": (0, NOW, ["metering.usage"], [1], [2]),
    "append_rejections": (
        *(0, NOW, ["metering.usage"], [5], ["r"], ["d"], [b"k"], [b"v"], ["[]"], [NOW], [None], [None], [None], [None]),
    ),
    "append_rerouted": (
        *(0, NOW, ["metering.usage"], [1], [1], ["a"], ["s"], [None], ["metering.usage"], [1], [1], [b"k"], [b"v"]),
        *(["[]"], [1]),
    ),
    "append_waiting": (
        *(0, NOW, ["metering.accounts"], [2], ["a"], ["e"], ["r"], [3], [b"k"], [b"v"], ["[]"], [1], ["{1,2}"]),
    ),
    "find_opened": (0, ["a"]),
    "append_openings": (0, 1, 10),
    "fetch_openings": (0, ["a"]),
    "fetch_keys": (0, ["a"]),
    "insert_keys": (0, NOW, ["a"], [b"k" * 32]),
    "find_earlier_changes": (0, ["a"], [5], 3),
    "find_usage": (0, ["a"], [str(ID)]),
    "find_moves": (0, ["a"]),
    "append_reversals": (0, [2], [1], [1]),
    "fetch_standings": (0, ["a"], 1),
    "append_remarks": (0, NOW, ["metering.accounts"], [1], ["a"], ["f"], ["r"]),
    "forget_accounts": (0, NOW, ["a"]),
    "seal_batch": (0, 1, 1, 1, 0, 1, 0, 1, 1, 0, 0, 0, NOW, b"", 1, 0, 0, 2, b"0" * 32, b"1" * 32),
    "fetch_batches": (0, 1, 1),
    "lock_outbox_shards": ([0], [1]),
    "fetch_outbox": ([0], 10, [0], [1], [""]),
    "delete_outbox": ([0], ["metering.usage"], [1]),
    "list_held": ([0], 10),
    "lock_place": ("metering.balances", 0),
    "show_kept_amounts": (0, "a"),
}
PROJECTIONS: Final[Statements] = {
    "claim_shards": ("balance", 5000, [], [0]),
    "find_range_ends": ([0], [100]),  # shards, up to
    "fetch_account_events": RANGE,
    "fetch_traces": (*RANGE, 5),
    "add_usage": (*RANGE, ["a"], [1], [1]),
    "fetch_balances": ACCOUNT,
    "fetch_accounts": ACCOUNT,
    "update_consumed": (["a"], [1], ["5"], [1], [NOW], [0]),
    "save_balances": (["a"], [1], [0], ["5"], ["5"], ["5"], [1], ["{1}"], [1], [NOW], [True], [False], [True]),
    "save_accounts": (["a"], [0], ["p"], ["d"], ["[]"], [NOW], [1], [NOW], ["UTC"], [False], ["[]"], [False]),
    "append_exhaustion_steps": ([0], ["a"], [1], [1], [1], ["5"], ["5"], [NOW]),
    "append_outbox": ([0], ["a"], [b"v"]),
    "notify_outbox": (),
    "advance_cursors": ("balance", [0], [0]),
    "claim_usage": ("usage", "balance", [0]),
    "find_moved_accounts": RANGE,
    "save_zones": ([0], ["a"], ["Europe/Rome"]),
    "clear_days": ([0], ["a"]),
    "count_days": ([0], ["a"]),
    "clear_months": ([0], ["a"]),
    "count_months": ([0], ["a"]),
    "fold_usage": (*RANGE, False, False),
    "follow_summed": RANGE,
    "fetch_sealed_items": RANGE,
    "save_items": (*RANGE, [0], [1], ["{}"]),
    "forget_owners": RANGE,
    "claim_days": ("usage", DAY, 0),
    "find_days_left": (0, DAY, "usage"),
    "find_next_days": (0, "", 10, 10, DAY, DAY),
    "add_up_days": (0, "", "z", DAY, DAY),
    "save_days_summed": (0, DAY, DAY, "", 1),
    "forget_months": (0,),
    "claim_months": ("usage", DAY, 0),
    "find_months_left": (0, DAY, "usage"),
    "find_next_months": (0, "", 10),
    "remove_months": (0, "", "z", DAY, DAY),
    "sum_months": (0, "", "z", DAY, DAY),
    "remove_day_kinds": (0, "", "z", DAY, DAY),
    "sum_day_kinds": (0, "", "z", DAY, DAY),
    "save_summed": (0, DAY, DAY, "", 1),
    "lock_outbox_shards": ([0], [1]),
    "fetch_outbox": ([0], 10),
    "delete_outbox": ([0], [1]),
    "read_balances": ("a", 0),
    "read_allowed": ("a", "tool_runs", 0),
    "read_usage_by_day": ("a", None, None, 0),
    "read_account": ("a", 0),
    "is_before_generation": ("balance", 0),
    "count_outbox_of_shard": (0,),
    "lock_cursor": ("balance", 0),
    "lock_republication": (0,),
    "find_next_accounts": (0, "a", 10),
    "fetch_generation": (0,),
    "advance_republication": (0, "a", 1),
    "lock_rebuild": (),
    "replace_accounts": (0,),
    "replace_balances": (0,),
}
NOTIFIER: Final[Statements] = {
    "advance_cursor": ("metering.balances", 0, 0, 1),
    "fetch_accounts": ACCOUNT,
    "fetch_balances": ACCOUNT,
    "fetch_banners": ACCOUNT,
    "fetch_noticed": ACCOUNT,
    "fetch_people": ACCOUNT,
    "fetch_generations": ([0],),
    "lock_accounts": ACCOUNT,
    "fetch_open": ACCOUNT,
    "fetch_lines": ACCOUNT,
    "fetch_recalled": ACCOUNT,
    "fetch_contacts": ACCOUNT,
    "save_accounts": (["a"], [0], [1], ["p"], ["d"], ["[]"], [True], ["UTC"], [1]),
    "save_balances": (["a"], ["tool_runs"], [0], [1], [1], [1], [1], [1], [NOW], [True], [1], NOW),
    "append_notices": ([ID], ["a"], ["tool_runs"], [1], ["email"], [50], ["delivered"], [1], [1], [0], [1], NOW),
    "save_banners": (["a"], ["tool_runs"], [50], ["low"], [True], ["t"], [1], [0], [1], [1], [NOW]),
    "clear_banners": (["a"], ["tool_runs"], 0),
    "append_outbox": ([0], ["a"], [b"v"]),
    "save_line_traces": ([0], ["a"], ["tool_runs"], [1], [50], ["x" * 55]),
    "fetch_line_traces": (0, "a"),
    "append_rejections": ("t", 0, [1], ["r"], ["d"], [b"k"], [b"v"], NOW),
    "save_contacts": ([0], ["a"], ["c"], [ID], [True], [False]),
    "save_told": ([0], ["a"], ["c"], ["tool_runs"], [50], [0]),
    "queue_emails": ([ID], [0], ["a"], ["c"], [ID], [1], [0.0], NOW, 0.0),
    "save_lines": ([ID], ["[]"], [0]),
    "claim_email": (5.0, 0),
    "hand_over_email": (ID, 1, 5.0, "m", b"b", "[]", ID, 0),
    "postpone_email": (ID, 1, 5.0, "r", 0, False, 0, False),
    "finish_email": (ID, 1, "accepted", "r", 0, 0, 5.0),
    "end_attempt": (ID, 1, "accepted", "dot", 250, "x", 0),
    "delete_attempt": (ID, 1, 0),
    "claim_retry_request": (0,),
    "answer_retry_request": (0, ID, "queued", NOW),
    "show_email": (ID, 0),
    "drop_letter_bytes": (5.0, 10, 0),
    "forget_people": (0, ["a"]),
    "lock_outbox_shards": ([0], [1]),
    "fetch_outbox": ([0], 10),
    "delete_outbox": ([0], [1]),
}
HOT: Final[Mapping[str, Statements]] = {"meter": METER, "projections": PROJECTIONS, "notifier": NOTIFIER}

# Looks that find out which shards have work, or measure all of them; the place or the topic of many, once when shards
# are assigned; thresholds, at the start; and of a letter in hand, what holds for an address anywhere.
ALL_SHARDS: Final[Mapping[str, Statements]] = {
    "meter": {
        "find_outbox_shards": (),
        "fetch_usage_offsets": (),
        "find_unsent": ("metering.usage", [0]),
        "fetch_offsets": ([0, 1],),
        "measure_outbox_age": (),
    },
    "projections": {
        "measure_shards": ("balance",),
        "measure_lag": ("balance",),
        "find_usage_behind": ("usage", "balance"),
        "fetch_cursors": ("usage",),
        "fetch_unfinished": (),
        "find_outbox_shards": (),
        "count_unopened": (10,),
        "fetch_topic": (),
        "measure_outbox_age": (),
    },
    "notifier": {
        "find_due_shards": (),
        "find_asked_shards": (),
        "find_outbox_shards": (),
        "measure_outbox_age": (),
        "fetch_offsets": (["metering.balances"], [0, 1]),
        "fetch_topic": ("metering.balances",),
        "count_emails": (3600.0,),
        "has_accepted": (5.0,),
        "fetch_outlook": ("metering.balances", 0, "a", "c", 5, 5, 5, 86_400.0),
        "fetch_runways": ("a",),
        "find_email": (ID,),
        "record_thresholds": ("metering.balances", [50], [50]),
    },
}

# Small batches of several shards at once, by arrays: of plain Postgres alone. On Citus a service takes one shard at a
# time, and sends none of these.
TOGETHER: Final[Mapping[str, Sequence[str]]] = {
    "meter": (
        *("append_at_once", "advance_shards", "find_known_of_shards", "append_duplicates_of_shards", "seal_batches"),
    ),
    "projections": (),
    "notifier": (),
}

# What the notifier asks as one statement (`fetch_together`): of a batch, of letters of accounts, of a letter in hand.
OF_BATCH: Final = ("fetch_accounts", "fetch_balances", "fetch_noticed", "fetch_banners", "fetch_generations")
OF_LETTERS: Final = ("fetch_open", "fetch_lines", "fetch_contacts", "fetch_recalled")
OF_LETTER: Final = ("fetch_outlook", "fetch_accounts", "fetch_balances", "fetch_people", "fetch_runways", *OF_LETTERS)


def join(names: Sequence[str]) -> tuple[str, Arguments]:
    """The statement, and its arguments."""
    known = {**ALL_SHARDS["notifier"], **NOTIFIER}
    counts = tuple((name, len(known[name])) for name in names)
    return join_statements("notifier", counts), tuple(chain.from_iterable(known[name] for name in names))
