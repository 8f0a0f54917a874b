"""The soak: a whole Pumasi under constant load while a seeded adversary does its worst; then an independent checker reads everything.

    load ──► doors ──► intake ×2 ──► commands ──► matcher ×3 ──► ledger ──► notifier ×2 ──► sink
                          ▲                        ▲ proxies ▲                 ▲
    plan ──► adversary ───┴── kill -9, stop, cut, delay, lose replies, step clocks, fill the disk
    with --brokers 3: a cluster by TLS and passwords; one broker at a time is killed, paused, filled, restarted in turn
    at the end: check (every topic, what was sent, what was told) and once more by the engine itself (audit, checkpoints)

`plan` and `load` are pure functions of the seed. What happens in between is decided by a real machine, so a seed gives back the same
load and the same faults at the same moments, and most often the same failure, but not the same interleaving to the microsecond.

plan, adversary           what is done to the system, and when; and the doing
load, doors, sent         what is submitted; how it is sent until it is acknowledged; what was sent, written down
world, proxy, clocks, disk  the system under test, and what the adversary has its hands on
sink, watch               who is told; how far the ledger is behind the commands, and for how long it stood still
check/                    the checker: plain Python over raw records; it knows neither services nor schemas
again                     the engine's own word beside it: the audit, and what a checkpoint restores to
run, figures              one soak from start to end; what is said of it
"""
