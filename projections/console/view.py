"""What a page is asked for, as one value."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from starlette.requests import Request

from projections.console.periods import Period
from projections.console.summary import Summary
from projections.console.tabs import Tab
from projections.console.tokens import AccessError, Viewer

# What pages are asked by. Nothing else is carried on into links, nor what is longer than any of these can be.
CHOICES: Final = ("period", "from", "to", "group", "sort", "dir", "q", "open", "lines", "channel")
MOST_CHARS: Final = 512
GROUPS: Final = {"day": "Day", "week": "Week", "month": "Month"}


@dataclass(frozen=True, slots=True)
class View:
    """What a page is asked for: the account as it is now, who looks, the period and the choices in the address."""

    request: Request
    summary: Summary
    viewer: Viewer
    period: Period
    now: datetime
    tab: Tab

    def query(self, name: str, default: str = "") -> str:
        found: str = self.request.query_params.get(name, default)
        return found

    @property
    def choices(self) -> dict[str, str]:
        """Those in the address."""
        found = {name: self.query(name) for name in CHOICES if name in self.request.query_params}
        return {name: value for name, value in found.items() if len(value) <= MOST_CHARS}

    def link(self, tab: Tab | None = None, suffix: str = "", **changes: str | None) -> str:
        """The address of a tab, with the choices in force and these changed; None leaves one out. `suffix`: `.csv`."""
        kept = self.choices if tab is None or tab is self.tab else self._period_alone()
        wanted = {name: value for name, value in (kept | changes).items() if value is not None}
        path = f"/accounts/{quote(self.summary.account_id, safe='')}/{tab or self.tab}{suffix}"
        return f"{path}?{urlencode(wanted)}" if wanted else path

    def _period_alone(self) -> dict[str, str]:
        return {name: value for name, value in self.choices.items() if name in ("period", "from", "to")}


def tab_of(request: Request) -> Tab:
    try:
        return Tab(request.path_params["tab"])
    except ValueError:
        raise AccessError(404, "no_page", "There is no such page.") from None


def group_of(view: View) -> str:
    group = view.query("group", "day")
    return group if group in GROUPS else "day"
