"""Kafka's murmur2: the vectors of its own tests, and aiokafka's implementation as a second witness."""

import aiokafka.partitioner
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.bus.partition import murmur2, partition_of

KAFKAS_OWN = {  # org.apache.kafka.common.utils.UtilsTest.testMurmur2
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("data", "signed"), KAFKAS_OWN.items())
def test_murmur2_gives_kafkas_own_values(data: bytes, signed: int) -> None:
    assert murmur2(data) == signed % 2**32


@given(st.binary(max_size=80))
def test_murmur2_agrees_with_aiokafka(data: bytes) -> None:
    assert murmur2(data) == aiokafka.partitioner.murmur2(data) & 0xFFFFFFFF


@given(st.text(min_size=1, max_size=64), st.integers(1, 64))
def test_a_fund_goes_where_kafkas_default_partitioner_would_put_it(fund: str, partitions: int) -> None:
    everywhere = list(range(partitions))
    assert partition_of(fund, partitions) == aiokafka.partitioner.DefaultPartitioner()(
        fund.encode(), everywhere, everywhere
    )
