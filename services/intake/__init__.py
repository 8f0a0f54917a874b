"""Intake: the doors. What comes from outside is read, checked, completed, stamped and put in its fund's order; contacts are sealed.

http, events        the two doors; partitions: each partition of submissions is brought through by itself
senders, rates      who may send what, and how much
cloudevents         what was sent, as a CloudEvent → `Event`
findings            what is wrong, in words
admission           `Event` → `Admitted`: the command, complete; or findings for every field
recipients, ids     an address in its one spelling; words for people, and ids, as keyed hashes
contacts            sealed contacts and texts
clock               the wall clock, compared with Kafka's
sequencer           one queue for both doors: repeats, time, ticks, publishing
pending             contacts until their event is decided: then they are written under their subject, or deleted
repeats, receipts   the same answer for the same event; what a sender may ask afterwards
makers              who may hear a verdict about an id
progress            what became of it, folded from the ledger
app                 the composition root: `get_application`
"""
