"""What our command is called by whoever called it: `./run` in a checkout, which says so, and `pumasi` where that is installed.

Texts say `pumasi NAME`, wherever they stand. Who shows one to people passes it through `as_called`: what is printed can
be typed.
"""

from __future__ import annotations

import os
import re
from shlex import quote

VARIABLE = "PUMASI_CALLED_AS"
_COMMAND = re.compile(r"(?<![\w./-])pumasi (?=[a-z]+\b)")


def name() -> str:
    """How the command was called, fit for a shell."""
    return quote(os.environ.get(VARIABLE) or "pumasi")


def as_called(text: str) -> str:
    """A text of ours, its commands as they are called here."""
    return _COMMAND.sub(lambda _: f"{name()} ", text)
