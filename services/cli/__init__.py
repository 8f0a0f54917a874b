"""The command line: `pumasi NAME …`. One module a command group; this one lists them and turns errors into exit statuses.

Exit status: 0 all well, 1 a finding or a failure, 2 a wrong option or setting. Results go to standard output, everything
else to standard error, so `--json` can be piped.

**To add a command**: write `services/cli/<name>.py` with a function of that name and EXAMPLES for its help, and add the name to
`COMMANDS`; a group of commands has `register(app: typer.Typer) -> None` instead. Import whatever loads Pydantic or aiokafka inside the
command, so that `pumasi --help` stays quick, and Rich too where a service runs for months.
"""

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import Abort, TyperException

from services import logs
from services.called import as_called
from services.called import name as called
from services.cli.shared.helps import Command, Group
from services.errors import PumasiError, UsageError
from services.visible import json_line, visible

COMMANDS = tuple(
    f"services.cli.{name}"
    for name in (  # in the order of `pumasi --help`
        "up",
        "demo",
        "kafka",
        "topics",
        "access",
        "intake",
        "matcher",
        "audit",
        "notifier",
        "ender",
        "status",
        "explain",
        "report",
        "keys",
        "forget",
        "panic",
        "deadletters",
        "simulate",
        "schemas",
    )
)

_ABOUT = """Pumasi (품앗이): matches pledges of money to people's needs, over Apache Kafka.

Settings are PUMASI_* variables; options override them. Exit status: 0 all well, 1 a finding or a failure, 2 a wrong
option or setting. Amounts are integers in the currency's minor unit: 1000000 is CNY 10,000.00."""

_EXAMPLES = """**Examples**

- `pumasi kafka --data /tmp/pumasi`: run a real broker on that directory
- `PUMASI_KAFKA=k1:9092 pumasi topics`: check the topics of that cluster
"""


def build(modules: Sequence[str] = COMMANDS) -> typer.Typer:
    """The application with the commands of some modules, by default all of `COMMANDS`."""
    app = typer.Typer(
        name="pumasi",
        help=_ABOUT,
        epilog=_EXAMPLES,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name in modules:
        module = importlib.import_module(name)
        if hasattr(module, "register"):
            module.register(app)
        else:
            command = name.rpartition(".")[2]
            app.command(command, epilog=module.EXAMPLES)(getattr(module, command))
    _with_our_help(app)
    return app


def _with_our_help(app: typer.Typer) -> None:
    for group in (app, *(info.typer_instance for info in app.registered_groups if info.typer_instance)):
        group.info.cls = Group
        for command in group.registered_commands:
            if command.cls is None or not issubclass(command.cls, Command):
                command.cls = Command


def _print_version(wanted: bool) -> None:
    if wanted:
        from services import __version__

        typer.echo(f"pumasi {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main(modules: Sequence[str] = COMMANDS) -> None:
    """Entry of the console script: runs the command in `sys.argv` and exits."""
    os.umask(0o077)  # whatever we write is for nobody else
    logs.set_up("WARNING")  # a service does it again, by its settings
    try:
        _run(build(_called_for(modules)))
    except PumasiError as error:
        _report(error)
        sys.exit(error.exit_status)
    except BrokenPipeError:  # `pumasi … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _called_for(modules: Sequence[str]) -> Sequence[str]:
    """The module of the command that is called, if it is one: a process that runs for months needn't hold the others."""
    return [one for one in modules if one.rpartition(".")[2] == sys.argv[1]] or modules if sys.argv[1:] else modules


def _run(app: typer.Typer) -> None:
    """Run the command; for a program, a usage error is JSON as any other."""
    if "--json" not in sys.argv:
        app(prog_name=called())
        return
    try:
        status = app(prog_name=called(), standalone_mode=False)
    except Abort:
        raise KeyboardInterrupt from None
    except TyperException as error:
        context = getattr(error, "ctx", None)
        hint = f"See {context.command_path} --help." if context else None
        raise UsageError(getattr(error, "format_message", error.__str__)(), hint=hint) from None
    sys.exit(status if isinstance(status, int) else 0)


def _report(error: PumasiError) -> None:
    if "--json" in sys.argv:
        told = error.to_dict()
        print(json_line({name: as_called(text) for name, text in told.items()}), file=sys.stderr)
        return
    from rich.text import Text

    from services.terminal import Terminal

    console = Terminal(stderr=True, soft_wrap=True)
    console.print(Text.assemble(("pumasi: ", "bold red"), (as_called(visible(error.message)), "red")))
    if error.hint:
        console.print(Text(as_called(visible(error.hint))))
