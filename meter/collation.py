"""Whether indexes of text stay what they are: those of keys compare by the database's own collation. Pure.

A collation of the operating system (glibc) or of ICU changes with their versions, and an index that was built by
another order no longer finds all rows: an account would get a second balance. Postgres warns of it in its log alone.
"""

from typing import NamedTuple


class Collation(NamedTuple):
    """Of a database. Versions are None where the collation has none, as C has."""

    database: str
    is_builtin: bool  # of Postgres itself: it changes with nothing else
    made_with: str | None
    now_has: str | None
    locale: str

    @property
    def has_changed(self) -> bool:
        return self.made_with is not None and self.made_with != self.now_has

    @property
    def may_change(self) -> bool:
        return self.now_has is not None and not self.is_builtin


def explain_changed(found: Collation) -> str:
    return (
        f"{found.database} was made with version {found.made_with} of {found.locale}, and the server has "
        f"{found.now_has} now: indexes may miss rows. Stop the services, then as a superuser: "
        f'REINDEX DATABASE "{found.database}"; ALTER DATABASE "{found.database}" REFRESH COLLATION VERSION'
    )


def explain_may_change(found: Collation) -> str:
    return (
        f"{found.database} compares text by {found.locale}, which changes with the server's operating system or ICU. "
        "After each upgrade of them look at `meter setup --check`. A new database has no such risk: CREATE DATABASE … "
        "TEMPLATE template0 LOCALE 'C', or from Postgres 17 on LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"
    )
