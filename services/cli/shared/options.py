"""Options that several commands share, said once. Each stands for the setting of the same name (`services.settings`).

A command passes what it got to `load(...)`: None means "not given" there. Limits are checked there too.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.bus.bootstrap import bootstrap_of as bootstrap_of
from services.called import give

if TYPE_CHECKING:
    from services.settings import Settings as Settings


def load(**given: Any) -> "Settings":
    """The settings, over them what was given on the command line; raises SettingError. Their model takes a moment to load."""
    from services import settings

    return settings.load(**given)


def carried(context: typer.Context, param: typer.CallbackParam, value: Any) -> Any:
    """Have an option that was typed stand in the commands that are printed; what is in the environment is there for those too."""
    source = context.get_parameter_source(param.name or "")
    give(param.opts[0], value if source is not None and source.name == "COMMANDLINE" else None)
    return value


Json = Annotated[
    bool, typer.Option("--json", help="Print results as JSON on standard output, errors as JSON on standard error.")
]
Kafka = Annotated[
    str | None,
    typer.Option("--kafka", envvar="PUMASI_KAFKA", metavar="HOST:PORT,…", callback=carried,
                 help="Bootstrap servers of a cluster. Unset: the broker running on the data directory."),
]  # fmt: skip
Data = Annotated[
    Path | None,
    typer.Option("--data", envvar="PUMASI_DATA", metavar="DIR", file_okay=True, callback=carried,
                 help="Data directory on this machine; created if missing.  [default: .pumasi]"),
]  # fmt: skip
KafkaPort = Annotated[
    int | None,
    typer.Option("--kafka-port", envvar="PUMASI_KAFKA_PORT", metavar="N",
                 help="TCP port of the embedded broker on 127.0.0.1; 0: any.  [default: 9092, or a free one]"),
]  # fmt: skip
HttpPort = Annotated[
    int | None,
    typer.Option("--http-port", envvar="PUMASI_HTTP_PORT", metavar="N",
                 help="TCP port of the HTTP service; 0: any.  [default: 8080, or a free one]"),
]  # fmt: skip
Partitions = Annotated[
    int | None,
    typer.Option("--partitions", envvar="PUMASI_PARTITIONS", metavar="N",
                 help="Partitions of each topic, and the most matchers that can work at once.  [default: 4]"),
]  # fmt: skip
Replication = Annotated[
    int | None,
    typer.Option("--replication", envvar="PUMASI_REPLICATION", metavar="N",
                 help="Replicas of each partition; use 3 on a cluster of three brokers or more.  [default: 1]"),
]  # fmt: skip
