"""Channels: the ways in which a notice leaves Pumasi, one file each; `egress` guards where they may go.

Who is told, and in which words, is settled before anything comes here.
"""
