"""Producing: records that are published once every in-sync replica has them, and transactions of one fenced writer.

Success is never reported before it is certain.
"""
