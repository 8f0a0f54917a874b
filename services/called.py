"""What our command is called by whoever called it: `./run` in a checkout, which says so, and `pumasi` where that is installed. And
where it was told to look, since a command that looks elsewhere mends nothing.

Texts say `pumasi NAME`, wherever they stand. Who shows one to people passes it through `as_called`: what is printed can
be typed.
"""

from __future__ import annotations

import os
import re
from shlex import quote
from typing import Final

VARIABLE = "PUMASI_CALLED_AS"
GROUPS: Final = ("keys", "deadletters", "report")
"""Commands that have commands."""
CARRIED: Final = {"--data": {"schemas"}, "--kafka": {"up", "demo", "kafka", "panic", "schemas"}}
"""Options that go over to the commands that texts name, but for those that don't have them."""
_given: dict[str, str] = {}


def give(option: str, value: object) -> None:
    """Carry an option of CARRIED, as it was given to this command; None: it wasn't."""
    _given.pop(option, None)
    if value is not None:
        _given[option] = quote(str(value))


def name() -> str:
    """How the command was called, fit for a shell."""
    return quote(os.environ.get(VARIABLE) or "pumasi")


def as_called(text: str) -> str:
    """A text of ours, its commands as they are called here. Once more changes nothing."""
    called = re.escape(name())
    command = rf"(?<![\w./-])(?:pumasi|{called}) ((?:{'|'.join(GROUPS)}) [a-z]+|[a-z]+|--help)\b(?=([^`;\n]*))"
    return re.sub(command, lambda found: " ".join([name(), found[1], *_carried(found[1], found[2])]), text)


def _carried(command: str, rest: str) -> list[str]:
    if command == "--help":
        return []
    takes = [option for option, without in CARRIED.items() if command not in without and command not in GROUPS]
    return [f"{option} {_given[option]}" for option in takes if option in _given and option not in rest]
