"""The matcher: commands in, ledger out, exactly once.

rule, book, leap, lanes      who is next, and how much          (pure)
decide, turn, plain, engine  what a command does, fact by fact  (pure)
entities, state, fold        what facts make of a fund          (pure)
timers, schedule             what time brings about             (pure)
conservation                 the sums that must hold            (pure)
answer, replay               from command to entry's bytes, and back
express, lane                the same for plain pledges, quickly
draft, batch                 decided, and not on the ledger yet
journal, desk, app, audit    the ledger on Kafka
"""

from services import native

__path__[:0] = native.paths(__name__)
