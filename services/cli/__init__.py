"""The command line: `pumasi NAME …`. One module a command group; this one lists them and turns errors into exit statuses.

Exit status: 0 all well, 1 a finding or a failure, 2 a wrong option or setting. Results go to standard output, everything
else to standard error, so `--json` can be piped.

**To add a command**: write `services/cli/<name>.py` with a function of that name and EXAMPLES for its help, and add the name to
`COMMANDS`; where several commands share a name, their module has a GROUP of them instead. Import whatever loads Pydantic or aiokafka
inside the command, so that `pumasi --help` stays quick, and Rich too where a service runs for months.
"""

import errno
import importlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import Abort, TyperException

from services import logs
from services.called import as_called
from services.called import name as called
from services.cli.shared.helps import Command, Commands
from services.errors import PumasiError, SettingError, UsageError
from services.visible import json_line, visible

COMMANDS = {
    name: f"services.cli.{name}"
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
}
"""The index of commands: name → module."""

_ABOUT = """Pumasi (품앗이): matches pledges of money to people's needs, over Apache Kafka.

Settings are PUMASI_* variables; options override them. Exit status: 0 all well, 1 a finding or a failure, 2 a wrong
option or setting. Amounts are integers in the currency's minor unit: 1000000 is CNY 10,000.00."""

_EXAMPLES = """**Examples**

- `pumasi kafka --data /tmp/pumasi`: run a real broker on that directory
- `PUMASI_KAFKA=k1:9092 pumasi topics`: check the topics of that cluster
"""


_UNUSABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR}
"""What the system says of a place that it won't let us use. A full disk is none: room may come, so services are started again."""
_CODE = (str(Path(__file__).parents[2] / "services"), sys.prefix)


def build(commands: Mapping[str, str] = COMMANDS) -> typer.Typer:
    """The application with some commands, by default all of `COMMANDS`."""
    app = Commands(_ABOUT, _EXAMPLES)
    app.callback()(_root)
    for name, where in commands.items():
        module = importlib.import_module(where)
        if hasattr(module, "GROUP"):
            app.add_typer(module.GROUP, name=name)
        else:
            how = getattr(module, "HELP", Command)
            app.command(name, cls=how, epilog=module.EXAMPLES)(getattr(module, name))
    return app


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


def main(commands: Mapping[str, str] = COMMANDS) -> None:
    """Entry of the console script: runs the command in `sys.argv` and exits."""
    os.umask(0o077)  # whatever we write is for nobody else
    logs.set_up("WARNING")  # a service does it again, by its settings
    try:
        _run(build(_called_for(commands)))
    except PumasiError as error:
        _report(error)
        sys.exit(error.exit_status)
    except BrokenPipeError:  # `pumasi … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        if (refused := _refused(error)) is None:
            raise
        _report(refused)
        sys.exit(refused.exit_status)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _refused(error: OSError) -> SettingError | None:
    """What a place that can't be used means to who named it; None if nobody did: it is a file of the code, or no file at all."""
    place = error.filename
    if error.errno not in _UNUSABLE or not isinstance(place, str | os.PathLike) or str(place).startswith(_CODE):
        return None
    return SettingError(
        f"{place} can't be used ({error.strerror})",
        hint="Name another place (--data DIR, PUMASI_DATA, PUMASI_KEYS), or mend whose it is and who may write there.",
    )


def _called_for(commands: Mapping[str, str]) -> Mapping[str, str]:
    """The command that is called, if it is one: a process that runs for months needn't hold the others."""
    return {name: where for name, where in commands.items() if name in sys.argv[1:2]} or commands


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
