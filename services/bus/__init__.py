"""The bus: how Pumasi speaks to Kafka. It knows records, topics and transactions, and no service.

topics, partition     what the topics are, and which fund lies where
envelope, attributes  CloudEvents as records
client/               what aiokafka lacks or does slowly, and the only place that touches its private parts
consume/, produce/    reading with and without a group; publishing, and writing in fenced transactions
deadletters/          letters, and putting them back
embedded/             a real broker on this machine

No decision about money or people is ever made here.
"""
