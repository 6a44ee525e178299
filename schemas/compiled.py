"""Whether the compiled part is there and wanted: a wheel of its own (`schemas/native`), which nothing requires."""

import importlib
from types import ModuleType
from typing import Final

MODULE: Final = "credit_meter_native"
VERSION: Final = 2  # of what it is asked and answers: `lib.rs` has it too


def find_module(name: str = MODULE) -> ModuleType | None:
    """None where it is not installed, or not for this machine."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


class Native:
    """The compiled part while it is in use. One for the process: what it gives is what the Python code gives."""

    def __init__(self, installed: ModuleType | None) -> None:
        self._installed = installed
        self._is_known = getattr(installed, "VERSION", None) == VERSION
        self.module: ModuleType | None = None
        self.use(True)

    def use(self, wanted: bool) -> None:
        self.module = self._installed if wanted and self._is_known else None

    @property
    def state(self) -> str:
        """For /metrics."""
        if self._installed is None:
            return "absent"
        if not self._is_known:
            return "outdated"  # a wheel of an older version
        return "used" if self.module is not None else "off"


NATIVE: Final = Native(find_module())
