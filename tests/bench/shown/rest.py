"""`./run bench --rest`, measured and shown."""

import asyncio
import json
import sys


def bench_rest(*, as_json: bool) -> None:
    """Measure and show; ends with status 1 if it is more than what is aimed at."""
    from tests.bench.machine import this_machine
    from tests.bench.rest import MIB_MAX, SHARE_MAX, rest
    from tests.bench.screen import BenchScreen, described
    from tests.bench.shown.parts import plain_table, show

    machine = this_machine()
    with BenchScreen() as screen:
        found = asyncio.run(rest(screen))
    if as_json:
        print(json.dumps({"machine": machine.as_json(), "rest": found.as_json()}))
    else:
        minutes = [f"minute {number}" for number in range(1, len(found.shares) + 1)]
        table = plain_table("A whole Pumasi at rest: memory, and % of a core", ("", "MiB (PSS)", *minutes))
        for one in found.processes:
            table.add_row(one.name, f"{one.mib:,.1f}", *(f"{share:.2%}".rstrip("%") for share in one.shares))
        table.add_row("all", f"{found.mib:,.0f}", *(f"{share:.2%}".rstrip("%") for share in found.shares))
        show(table)
        print(
            f"It was ready after {found.ready_seconds:.1f} s. Aimed at: at most {MIB_MAX:.0f} MiB and {SHARE_MAX:.0%}."
        )
        print(described(machine))
    if found.mib > MIB_MAX or max(found.shares) > SHARE_MAX:
        sys.exit(1)
