"""Where a webhook may go. Names are resolved and checked here, and the connection is made to the address that was checked.

A webhook's URL comes from outside; what it names may answer from inside: loopback, a private net, a cloud's metadata service. To check
a name and then let the client resolve it again would let the second answer differ from the first, so the caller connects to the
addresses returned.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import Future
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_NAT64 = IPv6Network("64:ff9b::/96")
_RELAYS = IPv4Network("192.88.99.0/24")
"""Relays of 6to4 (RFC 7526: not to be used): behind one lies whatever is in its network."""
_ISATAP = (0x00005EFE, 0x02005EFE)
"""How the interface's half of an IPv6 address begins that a network gave to an IPv4 host within it (RFC 5214)."""
Address = IPv4Address | IPv6Address


class AddressRefused(Exception):
    """The name leads to an address that webhooks must not reach. The message names no address."""


def is_public(address: Address) -> bool:
    """Whether an address is on the public internet; for an IPv6 address that carries an IPv4 one, whether that is."""
    if isinstance(address, IPv4Address) and address in _RELAYS:
        return False
    if isinstance(address, IPv6Address):
        if address.is_site_local or int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
            return False
        carried = address.ipv4_mapped or (IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None)
        if carried is not None:
            return is_public(carried)
        inner = [address.sixtofour, *(address.teredo or ())]
        if any(one is not None and not is_public(one) for one in inner):
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


async def resolve(host: str, port: int, allow_private: bool) -> list[str]:
    """The addresses of a host, in the order the system prefers.

    Raises:
        OSError: if the name has none.
        AddressRefused: if one of them is not public, unless `allow_private`.
    """
    addresses = await _looked_up(host, port)
    if not allow_private and not all(is_public(ip_address(address)) for address in addresses):
        raise AddressRefused("the webhook's host has a loopback, link-local, private or multicast address")
    return addresses


async def _looked_up(host: str, port: int) -> list[str]:
    """What the system's resolver says. It may say nothing for half a minute, and can't be told to stop: so it has a thread that the
    end of the process doesn't wait for, as it would for the event loop's own."""
    found = Future[list[str]]()
    found.set_running_or_notify_cancel()  # whoever gives up waiting doesn't stop it

    def look() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.set_result(list(dict.fromkeys(str(answer[4][0]) for answer in answers)))
        except Exception as error:  # noqa: BLE001  # for whoever waits
            found.set_exception(error)

    threading.Thread(target=look, name="resolver", daemon=True).start()
    return await asyncio.wrap_future(found)
