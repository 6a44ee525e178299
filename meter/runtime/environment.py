"""Reading settings from the environment: variables with a prefix, by the fields of a model. An empty one is not set.

A secret may stand in a file instead, which the variable with `_FILE` behind its name names: what stands in the
environment is shown by `docker inspect` and is handed to every child process.

A name that is nearly a setting's is a fault: the value that was meant would otherwise be ignored in silence. Other
names with the prefix are left alone: services share their variables, and container platforms set some of their own.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

from meter.runtime.errors import explain
from meter.runtime.secret_file import SecretFile, read_secret

if TYPE_CHECKING:
    from pydantic import BaseModel

ENV_PREFIX: Final = "METERING_"
# How alike two names must be, of 1. POSTGRES_DNS and POSTGRES_DSN are; SMTP_PORT and HTTP_PORT (0.78) are two settings.
ALIKE: Final = 0.85
FILE_SUFFIX: Final = "_FILE"


def load_no_plugins() -> None:
    """Have pydantic look for no plugins: it would read the metadata of all that is installed, at every start."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def variable(field: str) -> str:
    return ENV_PREFIX + field.upper()


def read_values(kind: type[BaseModel], environment: Mapping[str, str]) -> dict[str, str]:
    """What the environment says of the fields of a model, capitals or not."""
    given = {name.upper(): value for name, value in environment.items() if value}
    return {field: given[variable(field)] for field in kind.model_fields if variable(field) in given}


def read_secret_files(kind: type[BaseModel], environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """What files say of secret fields, and a line for each fault. A line break at the end is not part of a secret."""
    given = {name.upper(): value for name, value in environment.items() if value}
    values, faults = dict[str, str](), list[str]()
    for field in secret_fields(kind):
        name = variable(field) + FILE_SUFFIX
        if name not in given:
            continue
        if variable(field) in given:
            faults.append(f"{name}: {variable(field)} is set as well; set one of them")
            continue
        try:
            values[field] = read_secret(Path(given[name]))
        except ValueError as error:
            faults.append(f"{name}: the file {explain(error)}")
    return values, faults


def follow_secrets(
    kind: type[BaseModel], environment: Mapping[str, str], values: Mapping[str, str]
) -> dict[str, SecretFile]:
    """The files that `values` were read from, by field."""
    given = {name.upper(): value for name, value in environment.items() if value}
    files = {field: variable(field) + FILE_SUFFIX for field in values}
    return {field: SecretFile(name, Path(given[name]), values[field]) for field, name in files.items()}


def secret_fields(kind: type[BaseModel]) -> list[str]:
    from pydantic import SecretStr

    fields = kind.model_fields.items()
    return [name for name, field in fields if SecretStr in (field.annotation, *get_args(field.annotation))]


def known_variables(kind: type[BaseModel]) -> Iterator[str]:
    yield from map(variable, kind.model_fields)
    yield from (variable(field) + FILE_SUFFIX for field in secret_fields(kind))


def find_typos(kind: type[BaseModel], environment: Mapping[str, str]) -> list[str]:
    """One line for each variable that is no setting and nearly one."""
    unknown = sorted(unknown_names(kind, environment))
    if not unknown:
        return []
    from meter.runtime.variable_names import NAMES  # of the other packages

    known = {*known_variables(kind), *(ENV_PREFIX + name for name in NAMES)}
    unknown = [name for name in unknown if name not in known]
    plain = [name for name in unknown if name.removesuffix(FILE_SUFFIX) in known]
    return [f"{name}: only a secret may stand in a file; set {name.removesuffix(FILE_SUFFIX)}" for name in plain] + [
        f"{name}: there is no such setting; did you mean {meant}?"
        for name in unknown
        if name not in plain and (meant := nearest(name, known))
    ]


def unknown_names(kind: type[BaseModel], environment: Mapping[str, str]) -> Iterator[str]:
    own = set(known_variables(kind))
    return (name.upper() for name in environment if name.upper().startswith(ENV_PREFIX) and name.upper() not in own)


def nearest(name: str, known: Collection[str]) -> str | None:
    """The known name that is most like it, by what follows the prefix."""
    fields = [other.removeprefix(ENV_PREFIX) for other in known]
    found = difflib.get_close_matches(name.removeprefix(ENV_PREFIX), fields, n=1, cutoff=ALIKE)
    return ENV_PREFIX + found[0] if found else None
