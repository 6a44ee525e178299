"""The templates of the pages, and what they may call."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from projections.console import charts, figures
from projections.console.contents import times
from projections.console.markup import table_rows
from projections.console.summary import action_for
from projections.console.tables import show, show_name


def make_templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("projections.console"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    templates.globals.update(
        action_for=action_for, charts=charts, figures=figures, show=show, show_name=show_name, table_rows=table_rows,
        times=times,
    )  # fmt: skip
    return templates
