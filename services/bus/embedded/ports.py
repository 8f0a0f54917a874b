"""TCP ports of this machine: which is free, who holds one that isn't, and how one is kept for a broker that restarts.

A broker that was killed frees its port for the seconds of its restart, and another installation could start just then on the same usual
one; this one's clients would join that cluster and write to it. So whoever keeps a broker also holds the UDP port of the same number,
which nobody else uses: it says "this TCP port is in use" to every other Pumasi, and it falls with its process, kill -9 included.
"""

import contextlib
import os
import socket

import psutil

from services.errors import PortTaken, SettingError

HOST = "127.0.0.1"


class Reservation:
    """The right to a TCP port on 127.0.0.1, against other brokers of Pumasi."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def take(self, port: int) -> None:
        """Hold `port` from now on, and no other. Raises PortTaken if another Pumasi holds it."""
        self.release()
        held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            held.bind((HOST, port))
        except OSError:
            held.close()
            raise port_taken(port) from None
        self._socket = held

    def release(self) -> None:
        """Give it back. Safe to repeat."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def is_free(port: int, host: str = HOST) -> bool:
    """Whether a listener could begin on a TCP port of an address of this machine."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Java does: closed connections don't count
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def is_reserved(port: int) -> bool:
    """Whether another Pumasi's broker, perhaps one that is just restarting, has the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
        return False


def free_port() -> int:
    """Some TCP port on 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def refuse_if_taken(port: int, option: str, host: str = HOST) -> None:
    """Raise PortTaken, naming the holder and the `option` that chooses another, if somebody listens on the port."""
    if not is_free(port, host):
        raise port_taken(port, option, host)


def refuse_if_not_here(host: str) -> None:
    """Raise SettingError if nothing can listen on an address, since it isn't this machine's."""
    try:
        with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            pass
    except OSError as error:
        why = (error.strerror or "").partition(" (")[0]
        raise SettingError(
            f"PUMASI_HTTP_HOST: {host} is no address of this machine ({why})",
            hint="Use 127.0.0.1 for this machine alone, or 0.0.0.0 for every interface.",
        ) from None


def port_taken(port: int, option: str = "--kafka-port", host: str = HOST) -> PortTaken:
    """The error that says who has a port."""
    return PortTaken(
        f"port {port} on {host} is taken{_by_whom(port)}",
        hint=f"Stop that one, name another with {option} N, or leave the option out: a free port is then chosen and printed.",
    )


def _by_whom(port: int) -> str:
    """Who listens, else which other Pumasi holds the reservation."""
    with contextlib.suppress(psutil.Error, OSError):
        found = [one for one in psutil.net_connections("inet") if one.laddr and one.laddr.port == port and one.pid]
        listening = [one.pid for one in found if one.status == psutil.CONN_LISTEN]
        reserving = [one.pid for one in found if one.type == socket.SOCK_DGRAM and one.pid != os.getpid()]
        for pid in (*listening, *reserving):
            return f" by {psutil.Process(pid).name()} (process {pid})"
    return ""
