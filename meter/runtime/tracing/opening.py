"""The sender of traces that the settings ask for."""

from typing import Final

from meter.runtime.errors import SettingsError
from meter.runtime.tracing.port import NO_TRACES, Traces

NOT_INSTALLED: Final = (
    "METERING_TRACES_ENDPOINT is set, and the packages that send traces are not installed: "
    "pip install 'credit-meter[traces]', or take the setting away"
)


def open_traces(service: str, endpoint: str | None, cafile: str | None) -> Traces:
    """OpenTelemetry is loaded only where a setting names a collector. Raises SettingsError without its packages."""
    if endpoint is None:
        return NO_TRACES
    try:
        from meter.runtime.tracing.otlp import OtlpTraces
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        raise SettingsError(NOT_INSTALLED) from None
    return OtlpTraces(service, endpoint, cafile)
