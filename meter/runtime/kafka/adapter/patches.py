"""What must be done to aiokafka before the first consumer or producer starts: once, for the whole process."""

from aiokafka.codec import has_gzip, has_lz4, has_snappy, has_zstd

from meter.runtime.errors import SettingsError
from meter.runtime.kafka.adapter.batches import keep_reading
from meter.runtime.kafka.adapter.codecs import bound_codecs
from meter.runtime.kafka.adapter.joining import join_once
from meter.runtime.kafka.adapter.record_objects import keep_records_as_read


def patch_aiokafka() -> None:
    """Check that every codec is installed, bound what the codecs unpack, go on behind what cannot be read, join once.

    Raises SettingsError: a missing codec would otherwise show as an endless fetch error long after the start.
    Calling it again changes nothing.
    """
    codecs = {"gzip": has_gzip, "snappy": has_snappy, "lz4": has_lz4, "zstd": has_zstd}
    missing = [name for name, installed in codecs.items() if not installed()]
    if missing:
        raise SettingsError(f"Kafka codecs are not installed: {', '.join(missing)} (package cramjam)")
    bound_codecs()
    keep_records_as_read()
    keep_reading()
    join_once()
