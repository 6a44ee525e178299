"""What a server or our settings refuse, as a sentence with the address that was asked, and the exit code."""

from typing import NamedTuple

from meter.runtime.dsn import describe_hosts, describe_role
from meter.runtime.errors import RefusalError, SettingsError, explain, flatten
from meter.runtime.failures import is_transient
from meter.runtime.postgres import NO_LOGIN, explain_argument, explain_misconfigured
from meter.runtime.process.exits import Exit
from meter.runtime.settings import Settings


class Refused(NamedTuple):
    sentence: str
    code: Exit


def refused_by_postgres(error: BaseException, settings: Settings, needed: str) -> Refused | None:
    """`needed`: the role that is for what was tried. None where Postgres did not refuse."""
    dsn = settings.postgres_dsn
    for part in flatten(error):
        address, role = describe_hosts(dsn), describe_role(dsn)
        if refusal := explain_misconfigured(part, address=address, role=role, needed=needed):
            return Refused(refusal, Exit.USAGE if isinstance(part, NO_LOGIN) else Exit.FAILED)
        if too_large := explain_argument(part):
            return Refused(too_large, Exit.USAGE)
    return None


def refused_by_kafka(error: BaseException, settings: Settings) -> Refused | None:
    """None where Kafka's access control did not refuse."""
    from meter.runtime.kafka.failures import explain_unauthorized

    for part in flatten(error):
        address, user = settings.kafka_bootstrap, settings.kafka_sasl_username
        if refusal := explain_unauthorized(part, address=address, user=user):
            return Refused(refusal, Exit.FAILED)
    return None


def refused_service(error: BaseException, settings: Settings, needed: str) -> Refused | None:
    """As above, of a service. None for a bug, also where it comes beside a refusal."""
    parts = flatten(error)
    refusals = [refused_part(part, settings, needed) for part in parts]
    if any(refusal is None and not is_transient(part) for part, refusal in zip(parts, refusals, strict=True)):
        return None
    return next(filter(None, refusals), None)


def refused_part(part: BaseException, settings: Settings, needed: str) -> Refused | None:
    if isinstance(part, RefusalError):
        return Refused(explain(part), Exit.USAGE if isinstance(part, SettingsError) else Exit.FAILED)
    return refused_by_postgres(part, settings, needed) or refused_by_kafka(part, settings)
