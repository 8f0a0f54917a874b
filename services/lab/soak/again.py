"""The engine's own word: `pumasi audit` executes every command again, without faults, and compares every byte.

This is one part of the check and not the independent one: engine and audit share their code. It says that faults, kills and
recoveries left no trace in the ledger; the independent checker says that what stands there can be true.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any


async def audit(kafka: str) -> dict[str, Any]:
    """`pumasi audit --json` as anybody would run it; what it said, or its failure as `{"ok": false, …}`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "services.cli", "audit", "--json",
        env={**os.environ, "PUMASI_KAFKA": kafka},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        said, complaint = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    try:
        told = json.loads(said)
    except ValueError:
        told = {"message": complaint.decode(errors="replace").strip()[-500:]}
    return {**told, "ok": process.returncode == 0 and bool(told.get("ok"))}
