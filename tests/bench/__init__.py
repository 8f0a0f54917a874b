"""The bench: what Pumasi does a second, beside others who do less; how soon, with how much memory.

    throughput   the matcher beside its peers: who is measured, by which rule, how outputs are verified; read this first
    latency      from when a pledge was due to when its answer is readable (`sender` sends by the clock)
    memory, scaling, intake, notifier   one measurement each
    parts        where a pledge's time goes, without a broker
    check        ratios against those recorded in the repository (`alone` is its measure without a broker)
    load, ground, running, curve, verify, stats, machine, plot   what they share

`peers` has a file for each contender. Figures of single runs drift with the machine; ratios within a round are what to quote.
"""

import services  # noqa: F401  # first: whatever is imported next may be compiled
