"""SQL lives in files, one statement each; the method that runs one has its name."""

import re
from functools import cache
from importlib import resources
from typing import Final

PLACEHOLDER: Final = re.compile(r"\{\{(.*?)\}\}")


@cache
def load_sql(package: str, name: str) -> str:
    """The statement in `<package>/sql/<name>.sql`, with the codes of the contracts in place of their names."""
    return fill_codes(resources.files(package).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8"))


def fill_codes(text: str) -> str:
    """Put the code in place of each `{{name}}`. Raises KeyError for a name that no contract has.

    Postgres then plans with constants, as if the statement had been written with numbers.
    """
    return PLACEHOLDER.sub(code_of, text)


def code_of(found: re.Match[str]) -> str:
    """The contracts are loaded for statements that name them: a command that lists letters needs none."""
    from meter.runtime.postgres.codes import PLACEHOLDERS

    return PLACEHOLDERS[found[1]]
