"""Which role of the database each verb takes: for its help, and for what it says when another is refused.

One table, as with the names of variables: a verb of another package is told what it lacks before that is imported.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

SUPPORT: Final = "credit_support"
SETTING_UP: Final = "credit_owner"
PROJECTIONS: Final = "credit_projections"
NOTIFIER: Final = "credit_notifier"

ROLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "meter run": "credit_meter",
        "meter prune": "credit_pruner",
        **dict.fromkeys(("meter setup", "meter recover", "meter seal", "meter split"), SETTING_UP),
        **dict.fromkeys(
            (
                "meter open", "meter grant", "meter reverse", "meter revoke", "meter usage", "meter forget",
                "meter verify", "meter rerouted", "meter waiting", "meter accounts find", "meter accounts show",
                "meter accounts unopened", "meter accounts plan", "meter accounts rename", "meter accounts contacts",
                "meter accounts close", "meter accounts reopen", "meter rejections list", "meter rejections show",
                "meter rejections dismiss", "meter rejections replay", "projections show", "projections explain",
                "projections verify", "notifier notices", "notifier banners", "notifier emails list",
                "notifier emails show", "notifier emails retry",
            ),
            SUPPORT,
        ),
        **dict.fromkeys(("projections run", "projections rebuild", "projections republish"), PROJECTIONS),
        "projections console": "credit_console",
        **dict.fromkeys(("notifier run", "notifier reread"), NOTIFIER),
    }
)  # fmt: skip


def find_role(context: Any, *names: str) -> str | None:
    """Of the verb of a command line context, or of what `names` call within it; None where it asks no database."""
    while context is not None:
        names = (context.command.name or "", *names)
        context = context.parent
    return ROLES.get(" ".join(names))


def find_service_role(name: str) -> str:
    """Of a service by its name: `meter`, `console`; "" where it is none of ours."""
    return ROLES.get(f"{name} run") or ROLES.get(f"projections {name}") or ""


def describe_role_needed(role: str) -> str:
    """The last line of a verb's help."""
    more = ", or a superuser" if role == SETTING_UP else ""
    return f"Role in METERING_POSTGRES_DSN: {role}{more}."
