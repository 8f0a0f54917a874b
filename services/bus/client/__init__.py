"""The Kafka client: aiokafka, with what it lacks (its own requests, transactions left open) and what it does slowly.

Nothing outside touches a private part of aiokafka, so a new release of it can break this folder alone; it is pinned, and
`tests/unit/test_client_canary.py` names each part that is relied on. No topic is named here.
"""
