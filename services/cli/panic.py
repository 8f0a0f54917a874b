"""`pumasi panic`: destroys every key of this machine, at once."""

import time
from typing import Annotated

import typer

from services import keys, secret_files
from services.cli.shared import options, renewal
from services.cli.shared.results import show
from services.errors import KeyMissing

EXAMPLES = """**Examples**

- `pumasi panic`: asks for one word first
- `pumasi panic --yes`: at once
"""


def panic(
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Destroy all keys and passwords of this machine within a second: for when somebody is at the door.

    Each file in their directory is overwritten and removed, in folders there too. After that no contact and no text can be opened, and
    nobody's address can be tried out against a word. Commands and ledger stay: words and sums. Services that run here see within a
    second that their keys are gone, and stop, as `pumasi up` and its broker do. Nothing starts again, unless the keys come back from a
    copy. Without one nobody can be told anything, people who take part again are new people, and repeats of earlier events are not
    recognised.

    Overwriting reaches what the disk still calls by that place. Flash memory and copying file systems keep old blocks for a while: use
    an encrypted disk too. Copies elsewhere are not touched. Exit status 0: all are destroyed; 1: some could not be, each is named.
    """
    settings = options.load(data=data)
    kept = keys.directory(settings)
    if not kept.is_dir():
        raise KeyMissing(
            f"there are no keys in {kept}", hint="Name the data directory with --data DIR, or set PUMASI_KEYS."
        )
    if not yes:
        renewal.ask(f"All keys in {kept} will be destroyed.", "panic")
    began = time.monotonic()
    destroyed, left = secret_files.destroy_all(keys.directory(settings))
    seconds = round(time.monotonic() - began, 3)
    show(
        as_json,
        {"keys": str(kept), "destroyed": destroyed, "left": left, "seconds": seconds},
        f"{len(destroyed)} keys and passwords in {kept} are destroyed, in {seconds:.3f} s.",
        "What was sealed can't be opened any more, unless the keys are copied elsewhere. Services that run here stop.",
        *(f"NOT destroyed: {name}" for name in left),
    )
    if left:
        raise typer.Exit(1)
