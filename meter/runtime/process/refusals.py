"""What a server or our settings refuse, as a sentence with the address that was asked, and the exit code."""

from typing import NamedTuple

from meter.runtime.dsn import describe_hosts, describe_role
from meter.runtime.errors import RefusalError, SettingsError, explain, flatten
from meter.runtime.postgres import NO_LOGIN, NO_RIGHT, explain_argument, explain_misconfigured
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
    """As above, of a service: login, database and rights are settings of whoever runs it, so each is a fault of
    theirs. None for a bug."""
    for part in flatten(error):
        if isinstance(part, RefusalError):
            return Refused(explain(part), Exit.USAGE if isinstance(part, SettingsError) else Exit.FAILED)
        if refused := refused_by_postgres(part, settings, needed):
            return refused._replace(code=Exit.USAGE) if isinstance(part, NO_RIGHT) else refused
        if refused := refused_by_kafka(part, settings):
            return refused._replace(code=Exit.USAGE)
    return None
