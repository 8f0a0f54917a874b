"""What is remembered lies on large pages, where the system has them."""

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

_ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_LINUX = tuple(int(part) for part in re.findall(r"\d+", platform.release())[:2])
_MANY = """
import re, services
from pathlib import Path
from services.matcher.partition.process_memory import LargePages

def on_large_pages():
    return int(re.search(r"AnonHugePages: *([0-9]+) kB", Path("/proc/self/smaps_rollup").read_text())[1]) >> 10

remembered = [str(number) for number in range(1_000_000)]
before, pages = on_large_pages(), LargePages({from_bytes})
pages.keep_up()
pages.wait()
first = pages._moving
pages.keep_up()
print(before, on_large_pages(), pages._moving is first)
"""


def _moved(from_bytes: int) -> tuple[int, int, bool]:
    """MiB on large pages before and after, and whether a second call did nothing more."""
    command = [sys.executable, "-c", _MANY.replace("{from_bytes}", str(from_bytes))]
    before, after, once = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(before), int(after), once == "True"


@pytest.mark.skipif(
    not _ENABLED.exists() or "[never]" in _ENABLED.read_text() or _LINUX < (6, 1),
    reason="this system has no large pages to give, or takes its time",
)
def test_what_is_remembered_moves_to_large_pages_once_it_is_much() -> None:
    before, after, once = _moved(32 << 20)
    assert after - before > 30, "MiB, of the 60 that a million texts take"
    assert once, "and again only when it has grown"


def test_little_stays_where_it_is() -> None:
    before, after, _ = _moved(1 << 40)
    assert before == after
