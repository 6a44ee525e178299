"""What the custom resources of all operators have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Duration = Annotated[str, StringConstraints(pattern=r"^\d+[smh]$")]
Days = Annotated[str, StringConstraints(pattern=r"^\d+[dwm]$")]
Size = Annotated[str, StringConstraints(pattern=r"^\d+(Mi|Gi|Ti)$")]
Text = dict[str, str]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Metadata(Part):
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$")]
    labels: Text


class Named(Part):
    metadata: Metadata


class Target(Part):
    """Another object, by its name."""

    name: str
