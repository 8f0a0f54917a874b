"""The ledger's facts folded into funds, cases, pledges and awards, once for all who read them: `fold` is where a reader begins."""
