"""For the command lines: make the app, run a coroutine with uvloop, and turn errors into sentences and exit codes.

Exit codes: 0 ok, 1 failed or refused, 2 usage or settings, 3 a dependency could not be reached, 130 interrupted.

What a verb works with (drivers, models, services) is imported in the functions that use it, here and in the modules of
the commands: whoever asks for help, or for a list, does not wait for the Kafka client.
"""

import gc
import re
import sys
from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer
from typer.core import TyperGroup

from meter.runtime.environment import load_no_plugins, variable
from meter.runtime.errors import InterruptionError, LoginRefusedError, RefusalError, SettingsError, explain, flatten
from meter.runtime.process.distribution import DISTRIBUTION
from meter.runtime.process.exits import Exit
from meter.runtime.process.interruption import describe_interruption, interruptible, keeping_what_was_done
from meter.runtime.process.streams import tell_unwritten
from meter.runtime.process.terminal import fit, printable
from meter.runtime.process.usage import SHORTENED, in_our_words, is_shortened
from meter.runtime.process.verb_roles import describe_role_needed, find_role

if TYPE_CHECKING:
    from meter.runtime.process.service import Build
    from meter.runtime.settings import Settings

# What resolvers say of a name that they do not know, on Linux and macOS.
NO_ADDRESS: Final = re.compile(
    "[Nn]ame or service not known|nodename nor servname|failure in name resolution|No address"
)
UNKNOWN_HOST: Final = "no address is known for that name"
FEW_COLLECTIONS: Final = 100_000  # objects that are made between two collections; 700 is Python's default
WIDEST: Final = 160  # columns that a help text may take; of its own, Click stops at 80
T = TypeVar("T")
S = TypeVar("S", bound="Settings")

FullIds = Annotated[
    bool, typer.Option("--full-ids", help="Shorten no id on a terminal; each row is a block where they do not fit.")
]


class Group(TyperGroup):
    """Verbs under a name, with our words for what is wrong with their arguments.

    Where its own --help is not given it is False: Typer would load pydantic to read None, and that takes a third of the
    time of `meter grant --help`.
    """

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """With the role that it takes as the last line of its help."""
        command = super().get_command(ctx, cmd_name)
        if command is not None and (role := find_role(ctx, cmd_name)) is not None:
            command.epilog = describe_role_needed(role)
        return command

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        load_no_plugins()
        collect_rarely()
        with in_our_words():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with in_our_words(ctx):
            return super().invoke(ctx)


def collect_rarely() -> None:
    """Let what a verb imports load without the garbage collector, which would find nothing: a tenth of the start."""
    gc.set_threshold(FEW_COLLECTIONS, *gc.get_threshold()[1:])


def whole(value: str) -> str:
    """An id as an argument. One that a table has shortened is refused."""
    if is_shortened(value):
        raise typer.BadParameter(SHORTENED)
    return value


def make_app(name: str, help_text: str) -> typer.Typer:
    """The app of a command: `-h` beside `--help` for it and its verbs, and `--version`."""
    app = typer.Typer(
        name=name,
        cls=Group,
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDEST},
    )

    def print_version(wanted: bool) -> None:
        if wanted:
            from importlib.metadata import version

            print(f"{name} ({DISTRIBUTION}) {version(DISTRIBUTION)}")
            raise typer.Exit

    @app.callback()
    def main(
        _: Annotated[
            bool, typer.Option("--version", callback=print_version, is_eager=True, help="Show the version and exit.")
        ] = False,
    ) -> None: ...

    return app


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` on uvloop where there is one. SIGINT cancels the coroutine, then KeyboardInterrupt is raised."""
    import asyncio

    try:
        from uvloop import new_event_loop
    except ImportError:  # Windows
        new_event_loop = None
    # asyncio takes SIGINT for itself only where nobody else has.
    with interruptible(), closing(coroutine), asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(coroutine)


def run_command(kind: type[S], command: Callable[[S], Coroutine[Any, Any, T]]) -> T:
    """Run a command with its settings; on an error print a sentence to stderr and exit with its code."""
    import logging

    from meter.runtime.settings import load_settings

    # What the Kafka client has to say of a failure stands in our sentence. Services log it: see configure_logging.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    try:
        settings = load_settings(kind)
    except SettingsError as error:
        raise fail(explain(error), Exit.USAGE) from None
    with keeping_what_was_done() as said:
        return end_in_words(command, settings, said)


def end_in_words(command: Callable[[S], Coroutine[Any, Any, T]], settings: S, said: list[str]) -> T:
    try:
        return run_async(command(settings))
    except SettingsError as error:
        raise fail(explain(error), Exit.USAGE) from None
    except InterruptionError as error:
        raise fail(explain(error), Exit.INTERRUPTED) from None
    except RefusalError as error:
        raise fail(explain(error), Exit.FAILED) from None
    except KeyboardInterrupt:
        raise fail(describe_interruption(said), Exit.INTERRUPTED) from None
    except Exception as error:
        if has_reader_left(error) or (isinstance(error, OSError) and tell_unwritten()):
            raise typer.Exit(Exit.FAILED) from None
        if (failure := describe_failure(error, settings)) is not None:
            raise fail(*failure) from None
        raise


def has_reader_left(error: Exception) -> bool:
    """Whether it says that nobody reads our output any more, as behind `| head`: no fault, and nobody to tell of it.

    What is left to write goes nowhere then, or the interpreter would complain at its end.
    """
    import os
    import select

    if not any(isinstance(part, BrokenPipeError) for part in flatten(error)):
        return False
    try:
        output = sys.stdout.fileno()
        look = select.poll()
        look.register(output, 0)
        left = bool(look.poll(0))  # POLLERR: of a pipe the other end is closed
    except (OSError, ValueError):
        return False
    if left:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return left


def describe_failure(error: Exception, settings: "Settings") -> tuple[str, Exit] | None:
    """A sentence for people and an exit code; None for a bug."""
    from meter.runtime.failures import is_transient
    from meter.runtime.process.refusals import refused_by_kafka, refused_by_postgres

    if said := refused_by_postgres(error, settings, role_of_verb() or ""):
        return said
    if is_transient(error):
        refused = next((part for part in flatten(error) if isinstance(part, LoginRefusedError)), None)
        return describe_unreachable(error, settings) if refused is None else (str(refused), Exit.USAGE)
    return refused_by_kafka(error, settings)


def role_of_verb() -> str | None:
    """Of the verb that runs."""
    from typer._click.globals import get_current_context

    context = get_current_context(silent=True)
    return None if context is None else find_role(context)


def describe_unreachable(error: BaseException, settings: "Settings") -> tuple[str, Exit]:
    """What was tried, and whether it was the default for want of a setting: then the settings are at fault."""
    from meter.runtime.dsn import describe_hosts
    from meter.runtime.failures import explain, name_dependency

    name = name_dependency(error)
    field, address = {
        "postgres": ("postgres_dsn", describe_hosts(settings.postgres_dsn)),
        "kafka": ("kafka_bootstrap", settings.kafka_bootstrap),
    }.get(name, (None, None))
    if field is None:
        return f"{name} is not reachable: {plain_cause(explain(error))}", Exit.UNREACHABLE
    detail = plain_cause(explain(error).removeprefix(f"{name}: connecting to {address}: "))
    asks = detail.endswith("?")  # the server was there, and closed the connection
    said = f"{name} is not reachable at {address}: {detail}{'' if asks else '.'}"
    if field not in settings.model_fields_set:
        return f"{said} {variable(field)} is not set, so its default was tried: set it.", Exit.USAGE
    advice = "If so, see whether it runs, or correct" if asks else "Start it, or correct"
    return f"{said} {'Correct' if detail == UNKNOWN_HOST else advice} {variable(field)}.", Exit.UNREACHABLE


def plain_cause(text: str) -> str:
    """A cause without numbers of errors, and once where each address of a host has failed in the same way."""
    if "Connect call failed" in text or "Connection refused" in text:
        return "the connection is refused: nothing listens there"
    if NO_ADDRESS.search(text):
        return UNKNOWN_HOST
    return re.sub(r"\[Err(no|or) -?\d+\] ", "", text)


def run_service_command(name: str, kind: type[S], build: "Callable[[S], Build]", *, kafka: bool = True) -> None:
    """The verb of a service: settings, logs, the service, and its exit code. `kafka` says whether it needs Kafka."""

    from meter.runtime.kafka.probe import KafkaProbe
    from meter.runtime.postgres.probe import PostgresProbe
    from meter.runtime.process.health import Health
    from meter.runtime.process.logging import configure_logging
    from meter.runtime.process.service import run_service

    async def start(settings: S) -> Exit:
        if kafka:
            settings.check_publish_timeout()
        configure_logging(name, settings)
        warn_of_plaintext(settings, kafka=kafka)
        postgres, health = PostgresProbe(settings, f"credit-{name}-probe"), Health()
        health.metrics.transaction_seconds.set_function(lambda: postgres.oldest_transaction_s)
        probes = (postgres, KafkaProbe(settings)) if kafka else (postgres,)
        return await run_service(name, settings, build(settings), health=health, probes=probes)

    code = run_command(kind, start)
    if code is not Exit.OK:
        raise typer.Exit(code)


def warn_of_plaintext(settings: "Settings", *, kafka: bool) -> None:
    """One line where anything goes over the network in clear: the settings say so, and nobody may forget it."""
    import structlog

    found = {name: where for name, where in settings.without_tls().items() if kafka or name != "kafka"}
    if found:
        said = "set up TLS there and take the hosts out of METERING_PLAINTEXT_HOSTS, unless the network can be trusted"
        structlog.get_logger(component="service").warning("connections_without_tls", **found, detail=said)


def fail(message: str, code: Exit) -> typer.Exit:
    """A message may name what a record says."""
    lines = [printable(line) for line in message.split("\n")]
    print(fit("\n".join(lines), sys.stderr), file=sys.stderr)
    return typer.Exit(code)
