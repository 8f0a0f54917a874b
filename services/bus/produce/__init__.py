"""Producing: records that are published once every in-sync replica has them, and transactions of one fenced writer.

A success is never told before it is one.
"""
