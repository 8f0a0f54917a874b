"""The independent checker: what a stranger can find out from raw records, with the contract in hand and none of our code.

Not a line here is shared with intake, matcher, notifier or the schemas: standard library alone, and aiokafka to read (a test
holds that). So a mistake in the engine and in everything that was built on it can't hide here as well. Whether the rule gave
the money to the right case is not asked here: that is for the oracle and the audit.

findings   what is wrong, by code            records   a record as it lies on a topic; reading
sentfile   what was sent, as it was written down
chain      numbers, hashes, headers, bytes   answers   one answer for each command; each thing once
money      what the facts make of the money  tellings  who had to be told what
letters    dead letters                      notices   what was told
marks      checkpoints by their own hash     checker   all of it together
"""
