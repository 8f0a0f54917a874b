"""Consuming: in a group (`subscription`, `membership`), without one (`tail`), or once from end to end (`scan`).

Only what is committed is ever handed on. What a record means is nobody's business here.
"""
