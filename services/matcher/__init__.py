"""The matcher: commands in, ledger out, exactly once.

    model ← rules ← engine ← ledger ← checkpoint ← partition ← app, audit

Imports go to the left and never form a circle. `model`, `rules` and `engine` are pure: they know `schemas` and the standard library.

model/       cases, pledges, awards, timers, waiting money
rules/       whose the next money is; `index` lists the rules
engine/      what each command does, fact by fact, and what facts make of a fund
ledger/      from a command's bytes to its entries' bytes, and back; the journal that appends them
checkpoint/  what an engine remembers as records, and recovery from them
partition/   one partition at work: batches, transactions, tenure
"""
