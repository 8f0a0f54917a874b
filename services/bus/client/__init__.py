"""The Kafka client: aiokafka, with what it lacks (its own requests, transactions left open) and what it does slowly.

Nothing outside touches a private part of aiokafka, so a new release of it can break this folder alone. No topic is named here.
"""
