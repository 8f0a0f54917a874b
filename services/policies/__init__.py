"""Policies, tried before anyone chooses one: the same needs and the same money under several, each a whole run of the real engine.

season/ (generated), or commandlog, recorded, replay (what a fund has lived through) ─► runs, under several policies ─► course
─► measures ─► comparison ─► report/. `change` asks what another policy would have altered; `spread` plays many seeds.

Nothing is written to Kafka, and no service imports anything from here.
"""
