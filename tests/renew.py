"""All that is made from the code is made anew: JSON Schemas, OpenAPI, AsyncAPI, tables in documents, what catalogues are to translate.

Usage: `.venv/bin/python -P -m tests.renew`, then look at what `git diff` shows. Tests compare each with the code. People fill the
catalogues in: a sentence that is new there is empty, a changed one `fuzzy`.
"""

from __future__ import annotations

import subprocess
import sys

from schemas.generate import HERE, VERSION, write
from tests.scenarios import test_readme, test_send_events


def renew() -> None:
    """Write them all."""
    write()
    for document in ("openapi", "asyncapi"):
        command = [sys.executable, "-P", "-m", "services.cli", "schemas", f"--{document}"]
        made = subprocess.run(command, check=True, capture_output=True).stdout
        (HERE / "golden" / VERSION / f"{document}.json").write_bytes(made)
    test_readme.renew()
    test_send_events.renew()
    for step in ("extract", "update"):
        subprocess.run([sys.executable, "-P", "-m", "babel.messages.frontend", "-q", step], check=True)


if __name__ == "__main__":
    renew()
