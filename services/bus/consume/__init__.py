"""Consuming: in a group (`membership`), without one (`tail`, `partition_reader`), or once from end to end (`scan`).
`chain` holds the entries of a ledger's partition against one another, for all who read it.

Only what is committed is ever handed on. What a record means is nobody's business here.
"""
