"""How much may come: events of one sender and requests of one address, in any one second. In memory, for this intake alone.

Requests are counted for an address before any key is asked for. An IPv6 address counts as its /64, since one line usually has a
whole /64. Behind a proxy the address is the one that the proxy names, if it is one of `http_proxies`: nobody else is believed.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from services.errors import TooMany

_REMEMBERED = 10_000
"""Senders and addresses in memory; beyond that, those from whom nothing came within the second are forgotten."""

_NO_ADDRESS = "?"


class Rates:
    """Counts events and requests.

    Args:
        sender_rate: events a second of one sender; 0: any number.
        address_rate: requests a second of one address; 0: any number.
    """

    def __init__(self, sender_rate: int = 0, address_rate: int = 0) -> None:
        self._sender = RateLimitItemPerSecond(sender_rate, namespace="sender") if sender_rate else None
        self._address = RateLimitItemPerSecond(address_rate, namespace="address") if address_rate else None
        self._storage = MemoryStorage()
        self._limiter = MovingWindowRateLimiter(self._storage)

    def came(self, address: str) -> None:
        """A request came. Raises TooMany if there were too many from this address; then it does not count."""
        self._hold(self._address, network_of(address), 1, "requests from this address")

    def sends(self, sender: str, events: int) -> None:
        """A sender sends so many events, which may yet be refused. Raises TooMany likewise."""
        self._hold(self._sender, sender, events, "events of this sender")

    def _hold(self, limit: RateLimitItemPerSecond | None, whose: str, number: int, what: str) -> None:
        if limit is None:
            return
        if len(self._storage.events) > _REMEMBERED:  # the storage keeps the names of all that ever came
            for name in [name for name, came in self._storage.events.items() if not came]:
                self._storage.clear(name)
        number = min(number, limit.amount)  # a batch that is larger has a second for itself
        if not self._limiter.hit(limit, whose, cost=number):
            raise TooMany(f"more than {limit.amount} {what} within a second", hint="Send fewer, or larger batches.")


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """What stands for an address: itself, or the /64 of IPv6. What is none, as a proxy may pass on, is all one."""
    try:
        told = ip_address(address.partition("%")[0])
    except ValueError:
        return _NO_ADDRESS
    if not isinstance(told, IPv6Address):
        return str(told)
    return str(told.ipv4_mapped or ip_network((told, 64), strict=False))
