"""SQL files that no service runs for a batch, a letter or a message: why not, and which.

By their names, or by a pattern where every file that will ever fit it is for the same: a pattern for more would hide a
hot statement that somebody adds.
"""

from collections.abc import Mapping, Sequence
from typing import Final

Groups = Mapping[str, Sequence[str]]

METER: Final[Groups] = {
    "meter setup: the rows of shards, roles and rights": (
        *("insert_shards", "insert_outbox_shards", "insert_rebuild_shards"),
        *("insert_notifier_cursors", "insert_notifier_outbox_shards"),
        *("insert_projection_cursors", "insert_projection_outbox_shards"),
        *("can_make_roles", "create_roles", "find_missing_roles", "set_role_defaults", "format_password"),
        *("introduce_owner", "is_owner", "become_owner", "give_to_owner", "find_foreign", "take_create"),
        *("grant_*", "list_rights_*", "limit_reader", "revoke_all", "look_up_in_catalog"),
        *("find_collation", "go_node_by_node"),
    ),
    "meter setup distributes the tables": (
        *("find_citus", "count_citus_nodes", "has_split", "prepare_distribution", "distribute_*", "copy_to_all_nodes"),
        *("list_undistributed", "list_local_functions"),
    ),
    "a service at its start, or where a topic has grown": (
        *("find_store", "fetch_topics", "record_topic", "fetch_ages", "insert_grown_*"),
    ),
    "now and then: heads for anchors, what an account leaves when it is forgotten, a metric": (
        *("fetch_heads", "fetch_forgotten", "find_appending", "find_last_rejection"),
        *("find_refused_upto", "find_refused", "blank_rejections", "mark_cleared", "count_outbox"),
    ),
    "verbs that look something up": (
        *("show_account", "show_balances", "show_kept", "list_unopened", "list_rerouted", "list_waiting"),
        *("find_accounts", "find_account_usage", "find_plans", "find_opening", "find_forgotten"),
        *("find_folded_position", "find_stored_event", "find_rejected_event", "find_outcomes", "find_remarks"),
        *("list_remarks", "count_kept_changes", "count_shards", "fetch_last_position", "fetch_recorded_at"),
    ),
    "meter rejections": (
        *("fetch_rejections", "list_rejections", "list_replays", "append_replay"),
        *("fetch_dismissals", "append_dismissals"),
    ),
    "meter verify": (
        *("prepare_audit", "compare_anchors", "copy_*events", "list_log_shards", "list_distributed_shards"),
        *("fetch_codes", "fetch_link", "fetch_shard", "fetch_sealings", "fetch_sealed_later", "find_former"),
        *("find_chunk_end", "find_strays", "find_wrong_links", "has_moved"),
    ),
    "meter prune": ("prune_*", "advance_pruned", "may_prune", "find_prunable", "list_shards_to_prune"),
    "meter split": (
        *("allow_removal", "refuse_removal", "extend_shards", "move_accounts", "record_moved"),
        *("insert_moving", "clear_moving", "delete_strays", "find_unfinished", "list_accounts", "list_forgotten"),
    ),
    "meter seal, meter recover, and what meter forget counts": (
        *("has_unidentified", "allow_unidentified", "refuse_unidentified", "allow_sealing", "refuse_changes_again"),
        *("begin_generation", "begin_notifier_generation", "chain_anew", "move_head"),
        *("find_batch", "find_personal", "replace_personal", "count_in_clear", "find_remains", "find_sharing"),
        *("count_untold", "forget_listed", "fetch_places", "find_running", "find_unread", "fetch_filled_topic"),
        *("replace_balances_topic", "request_republication"),
    ),
}
PROJECTIONS: Final[Groups] = {
    "a service at its start": ("find_read_models", "record_topic"),
    "a reader at its start": ("read_shards",),
    "a metric of a verb": ("count_outbox",),
    "projections republish begins": ("begin_republication", "replace_topic", "count_opened", "count_republished"),
    "projections rebuild": (
        *("clear_rebuilt_*", "judge_rebuilt_names", "plan_exchange", "add_missing_steps", "remove_wrong_steps"),
        *("read_along_key", "sum_usage", "fetch_steps"),
        *("replace_days", "replace_day_kinds", "replace_months", "replace_slots", "replace_zones", "replace_names"),
        *("replace_items", "replace_used_items"),
    ),
    "projections verify, and what it shares with rebuild and explain": (
        *("compare_*", "prepare_long_read", "prepare_side_by_side", "check_rights", "count_log", "list_relatives"),
        *("list_epoch_steps", "list_thresholds", "list_item_changes", "list_contact_changes", "fetch_sealed"),
        *("fetch_heard", "fetch_sayings", "fetch_told", "sum_noticed_usage"),
    ),
    "projections explain": (
        *("fetch_account_log", "fetch_attempts", "fetch_emails", "fetch_line_states", "fetch_notices"),
        *("fetch_remarks", "fetch_shown_banners", "fetch_thresholds", "read_all_balances"),
    ),
}
NOTIFIER: Final[Groups] = {
    "a service at its start": ("find_cursors", "record_topic"),
    "once after a restore: what was sent is read back": (
        *("find_unrecalled", "lock_unrecalled", "append_recalled", "tell_recalled", "end_recalled", "finish_recall"),
        *("find_addresses", "find_ended", "find_waiting", "count_cursors"),
    ),
    "notifier reread": ("reread_topic",),
    "verbs that look something up, or ask for a letter again": (
        *("find_account", "list_attempts", "list_banners", "list_emails", "list_notices", "count_outbox"),
        *("append_retry_request", "fetch_retry_answer"),
    ),
}
COLD: Final[Mapping[str, Groups]] = {"meter": METER, "projections": PROJECTIONS, "notifier": NOTIFIER}
