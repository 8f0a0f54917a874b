"""The bench: what Pumasi does a second, beside others who do less; how soon, with how much memory.

`throughput` is the way to read first: load, contenders (`peers`), the rule by which all are measured, and how outputs are verified.
"""
