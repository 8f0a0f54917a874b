"""The express lane: plain pledges from their record's bytes to their entry's bytes, without anything built in between.

Nine in ten commands are pledges for whoever is next, written by intake in one and the same way. For them the general way (headers as a
dict, a struct, facts as dicts, JSON of these) costs more than the decision. The lane takes a record only if all of it is as
intake writes it, and a pledge only if `plain.accept` does; whatever is different in any way is left, untouched, to the general way
(`ledger.answer`), which alone says what is unreadable. So the lane has no errors of its own, and no rules.

That both ways lead to the same bytes and the same memory is held by properties, and by every audit: that goes the general way.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.commands import AHEAD_MAX
from schemas.ledger import ENTRY_BYTES_MAX
from schemas.structs import ID_MAX, is_id
from schemas.times import parse_given
from schemas.values import AMOUNT_MAX
from services.bus.attributes import is_source
from services.bus.envelope import CLOCK, COMMAND_BYTES_MAX, MAC, SENDER, WALL, Record, partition_of_fund
from services.matcher.engine.engine import Engine
from services.matcher.fast.plain import accept, facts_of
from services.matcher.ledger.draft import Draft
from services.matcher.model.entities import Pledge
from services.matcher.rules.protocol import Share

SHARES_MAX = 100
"""Shares of a pledge that certainly fit one entry; of more, its facts are put into entries by the general way."""
PLEDGE = "pumasi.pledge.made"
_TYPE = PLEDGE.encode()
_BY_WALL_CLOCK = (CLOCK, WALL.encode())
ID_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-"
_TIMES_MAX = 4096

assert 2 * SHARES_MAX * 512 < ENTRY_BYTES_MAX


class PledgeSaid(msgspec.Struct, forbid_unknown_fields=True):
    """A plain pledge's data, as in `schemas.commands.PledgeMade`; types are checked here, values in `Express`."""

    fund: str
    pledge: str
    donor: str
    amount: int
    currency: str
    fallback: str = "pool"


_said = msgspec.json.Decoder(PledgeSaid).decode
_MEMBERS = len(PledgeSaid.__struct_fields__)


def _is_sent(who: tuple[str, bytes | None], what: tuple[str, bytes | None]) -> bool:
    """Whether these headers say who sent a command and what was sent; the matcher has no use for either."""
    words = (who[1] or b"", what[1] or b"")
    return (
        (who[0], what[0]) == (SENDER, MAC)
        and all(0 < len(word) <= ID_MAX for word in words)
        and (not b"".join(words).translate(None, ID_BYTES))
    )


class Express:
    """The lane of one partition; see also `services.matcher.fast.lane_of`.

    Args:
        engine: the partition's.
        partition: which.
        partitions: how many there are, to tell a pledge that lies in the wrong one.
    """

    def __init__(self, engine: Engine, partition: int, partitions: int) -> None:
        self.engine, self.partition, self.partitions = engine, partition, partitions
        self._times: dict[bytes, int] = {}

    def run(self, records: Sequence[Record], start: int, end: int, draft: Draft) -> int:
        """Answer records from `start` on for as long as they are plain pledges, `end` at most.

        Returns:
            The place of the first that isn't; `end` if all were.

        Raises:
            ConservationBreach: as `Engine.execute`; the draft holds what comes before the record at fault.
        """
        place = start
        while place < end and self._decide_if_plain(records[place], draft):
            place += 1
        return place

    def _decide_if_plain(self, record: Record, draft: Draft) -> bool:
        """Decide one record and draft its entry if it is a plain pledge; else do nothing."""
        headers = record.headers
        by_wall_clock = len(headers) in (7, 9) and tuple(headers[6]) == _BY_WALL_CLOCK
        if len(headers) not in (6, 8) and not by_wall_clock:
            return False
        if len(headers) > 7 and not _is_sent(*headers[-2:]):
            return False
        (n0, version), (n1, event), (n2, source), (n3, kind), (n4, time), (n5, media) = headers[:6]
        if not (
            n0 == "ce_specversion" and n1 == "ce_id" and n2 == "ce_source" and n3 == "ce_type" and n4 == "ce_time"
            and n5 == "content-type" and version == b"1.0" and kind == _TYPE and media == b"application/json"
        ):  # fmt: skip
            return False
        if not event or not source or not time or record.value is None:
            return False
        value: bytes = record.value
        if not event.isascii() or not source.isascii() or not is_source(source.decode()):
            return False
        if len(value) > COMMAND_BYTES_MAX:
            return False
        try:
            said = _said(value)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return False
        if value.count(b":") != (_MEMBERS if b'"fallback":' in value else _MEMBERS - 1):  # one comes twice, perhaps
            return False
        name, donor, amount, fund_name = said.pledge, said.donor, said.amount, said.fund
        if not (0 < amount <= AMOUNT_MAX and said.fallback == "pool"):
            return False
        if not all(map(is_id, (event.decode(), name, donor))):
            return False
        engine = self.engine
        fund = engine.funds.get(fund_name)
        if fund is None or (record.key is not None and record.key != fund_name.encode()):
            return False
        if record.partition != self.partition or partition_of_fund(fund_name, self.partitions) != self.partition:
            return False
        at = self._times.get(time)
        if at is None:
            at = self.time_in(time)
            if at is None:
                return False
        if by_wall_clock and at > record.timestamp * 1000 + AHEAD_MAX:
            return False
        # As `Engine.execute` does; nothing is touched before all is certain.
        now = max(at, engine.clock, fund.now)
        if fund.timers.any_due(now):
            return False
        pledge = Pledge.__new__(Pledge)
        shares = accept(fund, pledge, name, donor, amount, said.currency)
        if shares is None:
            return False
        fund.now = now
        if engine.latest < now:
            engine.latest = now
        self._tell(record, draft, fund_name, now, event, pledge, shares)
        return True

    def _tell(
        self, record: Record, draft: Draft, fund: str, now: int, event: bytes, pledge: Pledge, shares: list[Share]
    ) -> None:
        """Put an answer into the draft."""
        draft.add(fund, now, event.decode(), PLEDGE, record.offset, facts_of(pledge, shares))

    def time_in(self, text: bytes) -> int | None:
        """A `ce_time` as microseconds, or None if the general way has to say what is wrong; the last ones are remembered."""
        try:
            at = parse_given(text.decode())
        except ValueError:
            return None
        if len(self._times) >= _TIMES_MAX:
            self._times.clear()
        self._times[text] = at
        return at
