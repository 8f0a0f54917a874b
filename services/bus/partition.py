"""Which partition a fund lies in: `murmur2(fund) mod N`, as Kafka's own default partitioner has it.

Said in one place and set explicitly on each command, so that a client library with another default can't split a fund's order.
Source: org.apache.kafka.common.utils.Utils.murmur2 and BuiltInPartitioner.partitionForKey.
"""

_SEED = 0x9747B28C
_M = 0x5BD1E995
_R = 24
_32_BITS = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Kafka's 32-bit murmur2 of `data`, as an unsigned integer (Java shows it signed)."""
    length = len(data)
    h = _SEED ^ length
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _32_BITS
        k = (k ^ k >> _R) * _M & _32_BITS
        h = (h * _M & _32_BITS) ^ k
    if tail := data[whole:]:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _32_BITS
    h = (h ^ h >> 13) * _M & _32_BITS
    return h ^ h >> 15


def partition_of(key: str, partitions: int) -> int:
    """The partition, 0 to `partitions` - 1, of `key` (a fund) as UTF-8."""
    assert partitions > 0, "a topic has a partition"
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions
