"""The matcher: commands in, ledger out, exactly once.

rule, book, walk, lanes      who is next, and how much          (pure)
decide, turn, engine         what a command does, fact by fact  (pure)
entities, state, fold        what facts make of a fund          (pure)
timers, schedule             what time brings about             (pure)
conservation                 the sums that must hold            (pure)
answer, replay               from command to entry's bytes, and back
journal, desk, app, audit    the ledger on Kafka
"""

from services import native

__path__[:0] = native.paths(__name__)
