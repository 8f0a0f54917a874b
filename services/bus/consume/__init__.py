"""Consuming: in a group (`membership`), without one (`tail`, `partition_reader`), or once from end to end (`scan`). `chain`
checks each entry of a ledger's partition against the one before, for all its readers.

Only what is committed is ever handed on. What a record means is nobody's business here.
"""
