"""Fuzzing, guided by coverage: `python -m tests.fuzz.run TARGET [libFuzzer's options]`.

    PUMASI_PURE=1 python -m tests.fuzz.run submission -runs=200000
    PUMASI_PURE=1 python -m tests.fuzz.corpus submission     keep, of what was found, what matters

Needs Atheris (requirements.lock beside this file, in an environment of its own or on PYTHONPATH beside the project's). What is found on
the way lies in /tmp/pumasi-fuzz/TARGET, which the next run goes on with; an input that breaks a target lies there as crash-….
"""

from __future__ import annotations

import json
import re
import sys
from hashlib import sha256
from random import Random
from typing import Any

import atheris

with atheris.instrument_imports(include=["services", "schemas"]):
    from tests.fuzz import targets
    from tests.fuzz.corpus import FOUND, kept
    from tests.fuzz.seeds import ODD, of

WORDS = [
    "fund",
    "case",
    "pledge",
    "payment",
    "delivery",
    "donor",
    "beneficiary",
    "voucher",
    "amount",
    "currency",
    "goal",
    "priority",
    "route",
    "need",
    "needed_by",
    "own_contribution",
    "recurrence",
    "every",
    "times",
    "access",
    "province",
    "status",
    "designation",
    "fallback",
    "expires_at",
    "contact",
    "address",
    "language",
    "sealed_contact",
    "thanks",
    "reason",
    "outcome",
    "rate",
    "share",
    "weights",
    "ageing_days",
    "deadline_hours",
    "vouchers_required",
    "rule",
    "ce_id",
    "ce_type",
    "ce_source",
    "ce_time",
    "ce_specversion",
    "content-type",
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "data",
    "data_base64",
    "datacontenttype",
    "seq",
    "at",
    "cause",
    "facts",
    "fact",
    "offset",
    "more",
    "hash",
    "head",
    "known",
    "part",
    "award",
    "why",
    "class",
    "key",
    "before",
    "after",
    "claim",
    "settled",
    "from",
    "to",
    "period",
    "of",
    "face",
    "waiting",
    "version",
    "__streams.errors.topic",
    "pumasi.withheld",
    "pumasi.replay_of",
    "jilin",
    "c-1",
    "p-0",
    "p-0/1",
    "CNY",
    "USD",
    "stat",
    "asap",
    "home",
    "test",
    "pool",
]


SEPARATORS = re.compile(rb"([\x1d\x1e\x1f])")


def mutated(data: bytes, size_max: int, seed: int) -> bytes:
    """Half of the time libFuzzer's own way, byte by byte; else JSON stays JSON and one thing in it changes."""
    random = Random(seed)
    parts = SEPARATORS.split(data)
    places = [place for place, part in enumerate(parts) if part[:1] in (b"{", b"[")]
    if places and random.random() < 0.5:
        place = random.choice(places)
        try:
            parts[place] = changed(json.loads(parts[place]), random)
        except (ValueError, RecursionError):
            return atheris.Mutate(data, size_max)
        return b"".join(parts)[:size_max]
    return atheris.Mutate(data, size_max)


def changed(told: Any, random: Random) -> bytes:
    """JSON with one thing in it odd, gone, doubled, renamed or taken from elsewhere in it."""
    spots = list(spots_of(told))
    if not spots:
        return random.choice(ODD).encode("utf-8", "surrogatepass")
    holder, name = random.choice(spots)
    odd = '"ODD"'
    match random.randrange(6):
        case 0:
            del holder[name]
        case 1:
            other, its = random.choice(spots)
            holder[name] = other[its]
        case 2 if isinstance(holder[name], int):
            holder[name] += random.choice([-1, 1, 1000, -holder[name], 2**63])
        case 3 if isinstance(holder, list):
            holder.append(holder[name])
        case 4 if isinstance(holder, dict):
            holder[random.choice(WORDS)] = holder[name]
        case _:
            holder[name], odd = "ODD", random.choice(ODD)
    try:
        return json.dumps(told, ensure_ascii=False).replace('"ODD"', odd).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):  # it holds itself by now
        return b"{}"


def spots_of(told: Any) -> Any:
    """Every place in JSON, as what holds it and its name there."""
    names = told if isinstance(told, dict) else range(len(told)) if isinstance(told, list) else ()
    for name in names:
        yield told, name
        yield from spots_of(told[name])


def main() -> None:
    name, *options = sys.argv[1:]
    here = FOUND / name
    here.mkdir(parents=True, exist_ok=True)
    for data in (*of(name), *kept(name)):
        (here / sha256(data).hexdigest()[:20]).write_bytes(data)
    words = FOUND / "words"
    words.write_text("".join(f'"{word}"\n' for word in WORDS) + '"\\x1d"\n"\\x1e"\n"\\x1f"\n"\\x15"\n')
    fixed = [f"-artifact_prefix={here}-", f"-dict={words}", "-rss_limit_mb=3000", "-timeout=20", "-max_len=16384"]
    atheris.Setup([sys.argv[0], *fixed, *options, str(here)], targets.TARGETS[name], custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
