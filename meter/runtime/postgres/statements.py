"""SQL lives in files, one statement each; the method that runs one has its name."""

from functools import cache
from importlib import resources


@cache
def load_sql(package: str, name: str) -> str:
    """The statement in `<package>/sql/<name>.sql`."""
    return resources.files(package).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
