"""The options of `pumasi simulate`, by what they belong to: the panels of its `--help`, and which go with which."""

from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.shared.options import carried
from services.errors import UsageError

_SEASON = "A generated season (what is played unless a log is named)"
_LOG = "A recorded log instead"
_POLICIES = "Under which policies"
_CHANGE = "What if a policy had been changed?"
_OUTPUT = "What comes of it"


def _option(*names: str, panel: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=panel, **more)


Seed = Annotated[
    int, _option("--seed", panel=_SEASON, min=0, metavar="S", help="Everything random follows from it.")
]  # fmt: skip
Seeds = Annotated[
    int | None,
    _option("--seeds", panel=_SEASON, min=2, max=1000, metavar="N",
            help="N seasons, of the seeds S, S+1, …: median and range of the leading figures, and what is best in most of them."),
]  # fmt: skip
Days = Annotated[int, _option("--days", panel=_SEASON, min=1, max=3650, metavar="N", help="How long the season is.")]
Funds = Annotated[
    int,
    _option("--funds", panel=_SEASON, min=1, max=100, metavar="N", help="Communities, each with a fund of its own."),
]
Cases = Annotated[
    float, _option("--cases", panel=_SEASON, min=0.01, max=100_000, metavar="N", help="New cases a day in each fund.")
]
Generosity = Annotated[
    float, _option("--generosity", panel=_SEASON, min=0, max=100, metavar="X", help="Money pledged, as a part of the money asked.")
]  # fmt: skip
Defaults = Annotated[
    float, _option("--defaults", panel=_SEASON, min=0, max=1, metavar="X", help="Part of the payments that fail.")
]
Neglect = Annotated[
    float,
    _option("--neglect", panel=_SEASON, min=1, max=1000, metavar="X",
            help="How many times as likely an immediate or asap case dies while it lacks money. At 1 no policy gains by it."),
]  # fmt: skip
Log = Annotated[
    Path | None, _option("--log", panel=_LOG, metavar="FILE", help="A file of JSON lines; its format is below.")
]
Fund = Annotated[
    list[str] | None,
    _option("--fund", panel=_LOG, metavar="F",
            help="This fund of --log; without --log, as it is recorded on Kafka. May be given several times."),
]  # fmt: skip
Kafka = Annotated[
    str | None,
    _option("--kafka", panel=_LOG, callback=carried, envvar="PUMASI_KAFKA", metavar="HOST:PORT,…",
            help="Read the log from this cluster. The variable alone reads nothing: it says where --fund F is."),
]  # fmt: skip
Data = Annotated[
    Path | None,
    _option("--data", panel=_LOG, callback=carried, envvar="PUMASI_DATA", metavar="DIR", file_okay=True,
            help="Read it from the broker running on this directory.  [default: .pumasi]"),
]  # fmt: skip
Policies = Annotated[
    list[str] | None,
    _option("--policy", panel=_POLICIES, metavar="POLICY",
            help="A rule, and fields of pumasi.fund.configured: urgency-waterfill/1,weights=claim,share=5000. `recorded`: as it was. "
            "May be given several times.  [default: each rule, and weights=claim; for a log also `recorded`]"),
]  # fmt: skip
Change = Annotated[
    str | None,
    _option("--change", panel=_CHANGE, metavar="POLICY",
            help="Replay a recorded log as it was, and with this changed; show what would have been different."),
]  # fmt: skip
Since = Annotated[
    str | None,
    _option("--since", panel=_CHANGE, metavar="TIME", help="From when on: RFC 3339, or a date (UTC).  [default: the start]"),
]  # fmt: skip
Last = Annotated[
    float | None,
    _option("--last", panel=_CHANGE, min=0, metavar="DAYS", help="The same, counted back from the log's end."),
]
Html = Annotated[
    Path | None,
    _option("--html", panel=_OUTPUT, metavar="FILE", dir_okay=False, help="Write a report with plots: one file, needs no network."),
]  # fmt: skip
Save = Annotated[
    Path | None,
    _option("--save", panel=_OUTPUT, metavar="FILE", dir_okay=False,
            help="Write the commands, to be replayed with --log: those read from Kafka, or the season's under the first policy."),
]  # fmt: skip
Json = Annotated[
    bool, _option("--json", panel=_OUTPUT, help="Print everything as JSON on standard output, errors as JSON on standard error.")
]  # fmt: skip
Definitions = Annotated[bool, _option("--definitions", panel=_OUTPUT, help="Explain what each figure means, and exit.")]
_SEASONS = {"days", "funds", "cases", "generosity", "defaults", "neglect"}
_LOGS = {"log", "fund", "kafka", "data"}
_MODES: dict[str, set[str]] = {
    "--definitions": {"definitions", "as_json"},
    "--seeds": {"seeds", "policy", "seed", *_SEASONS, "html", "as_json"},
    "--change": {"change", "since", "last", *_LOGS, "save", "as_json"},
    "a recorded log": {"policy", *_LOGS, "html", "save", "as_json"},
    "a generated season": {"policy", "seed", *_SEASONS, "html", "save", "as_json"},
}


def mode_of(given: set[str]) -> str:
    """What is to be done, by the options given on the command line.

    Raises:
        UsageError: if options are given that do not go together.
    """
    named = (f"--{name}" for name in ("definitions", "seeds", "change") if name in given)
    mode = next(named, "a recorded log" if given & _LOGS else "a generated season")
    if strange := given - _MODES[mode]:
        wrong, right = (
            ", ".join(f"--{name.removeprefix('as_')}" for name in sorted(names)) for names in (strange, _MODES[mode])
        )
        raise UsageError(f"{wrong} does not go with {mode}", hint=f"With {mode} go {right}.")
    if {"since", "last"} <= given:
        raise UsageError("--since and --last both say from when on", hint="Give one of them.")
    if "log" in given and given & {"kafka", "data"}:
        raise UsageError("--log is a file; --kafka and --data name a broker", hint="Give one of them.")
    return mode
