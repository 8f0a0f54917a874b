"""Consuming: in a group (`subscription`, `membership`), without one (`tail`), or once from end to end (`scan`).
`chain` holds the entries of a ledger's partition against one another, for all who read it.

Only what is committed is ever handed on. What a record means is nobody's business here.
"""
