"""Which pseudonym key makes a fund's words: the one that served when the fund began, for as long as the fund exists.

A fund began at the time of its first `fund_configured`; until the ledger has that, at the time of its first configuration on the
commands topic. Each key but the first serves from an instant that is in its file's name. It is made some minutes before (`pumasi
keys next`), and every intake looks for new ones each minute, so all have it by then. Around that instant no fund begins: clocks
that differ as far as they may, and ticks that come in between, cannot lead to two answers. So what is known needs no topic of its
own, is the same at every intake, and survives all of them.

A fund that nobody has heard of counts as beginning now: what is sent to it is refused, unless its configuration came just before.
With trusted time, now is what the sender says.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Mapping

from schemas.command import AHEAD_MAX
from schemas.times import SECOND, parse_given
from services.bus.envelope import Record
from services.errors import KafkaUnreachable, KeyChanging

CONFIGURED = "pumasi.fund.configured"
QUIET = AHEAD_MAX + 30 * SECOND
"""How long before and after the instant from which a key serves no fund begins, in microseconds."""
_HEADER = ("ce_type", CONFIGURED.encode())


class Funds:
    """When each fund began, and which key is whose.

    Args:
        ring: as `services.keys.pseudonym_keys`.
        now: microseconds since 1970.
        trust_time: take the events' own time.
    """

    def __init__(self, ring: Mapping[int, bytes], now: Callable[[], int], trust_time: bool = False) -> None:
        self._now, self._trust_time = now, trust_time
        self._since: list[int] = []
        self._keys: list[bytes] = []
        self._told: dict[str, int] = {}
        self._sent: dict[str, int] = {}
        self.turn_to(ring)
        self._complete = False

    def turn_to(self, ring: Mapping[int, bytes]) -> None:
        """Use these keys from now on. If there is more than one, all that the topics tell of funds has been followed."""
        self._since, self._keys = sorted(ring), [ring[since] for since in sorted(ring)]
        self._complete = True

    def began(self, fund: str, at: int) -> None:
        """The ledger tells of a fund's configuration; the first counts."""
        self._told.setdefault(fund, at)

    def follow(self, record: Record) -> None:
        """Look whether a command is a fund's configuration; only the ledger can tell whether it counts."""
        if _HEADER in record.headers and record.key is not None:
            said = dict(record.headers)["ce_time"] or b""
            self._sent.setdefault(record.key.decode(), parse_given(said.decode()))

    def key_of(self, fund: str, sent_at: int | None = None) -> bytes:
        """The key that makes a fund's words. `sent_at`: the time that its sender gives what is sent.

        Raises:
            KafkaUnreachable: if it isn't known yet when the fund began.
        """
        if len(self._keys) == 1:
            return self._keys[0]
        began = self._told.get(fund, self._sent.get(fund))
        if began is None and not self._complete:
            raise KafkaUnreachable(
                "what came before is still being read", hint="Try again in a moment: a repeat is safe."
            )
        if began is None:
            began = sent_at if self._trust_time and sent_at is not None else self._now()
        return self._keys[max(bisect(self._since, began) - 1, 0)]

    def hold(self, fund: str, at: int) -> None:
        """Check that a fund may begin at `at`, microseconds since 1970, if it isn't there already.

        Raises:
            KeyChanging: if it may not.
        """
        if fund in self._told or fund in self._sent:
            return
        for since in self._since[1:]:
            if abs(at - since) < QUIET:
                raise KeyChanging(
                    "a new pseudonym key is about to serve, and no fund begins meanwhile",
                    hint=f"Try again in {(since + QUIET - at) // SECOND + 1} s.",
                )
