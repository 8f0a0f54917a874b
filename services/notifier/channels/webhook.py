"""The webhook: each notice POSTed as JSON, signed by Standard Webhooks, tried again for as long as it makes sense.

`webhook-id` is the notice's id at every try, so the receiver can drop what it has. 2xx is delivered; a server in trouble (5xx, 429, no
connection, no answer in time) is tried again with growing, jittered pauses up to a bound; any other answer, a redirect too, is
final. One that answers nobody while a notice is given up counts as down: then each notice gets one try only, so that a long outage does
not hold up everybody. One that answers others is not down: it is slow for one person, who alone waits; or refuses one person's notices,
if since the last of theirs that was given up it has answered somebody.

Where it may go: see `egress`. Proxies of the environment are not used: they would do the resolving.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import re
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import httpx
from standardwebhooks import Webhook as Signer

from schemas.notices import NOTICE_TYPE, Notice, NoticeOutcome, Posted
from services.backoff import Backoff
from services.bus.envelope import TRACE
from services.errors import SettingError
from services.notifier.channels.egress import AddressRefused, resolve

log = logging.getLogger("pumasi.notifier")

_SECRET_BYTES = range(24, 65)
_GAVE_UP_MAX = 1000
_PORTS = {"http": 80, "https": 443}
_TROUBLE = (httpx.TransportError, OSError, TimeoutError, UnicodeError)  # UnicodeError: a name that no resolver takes


@dataclass(frozen=True)
class Patience:
    """How long a receiver is waited for. Seconds, but for `attempts` and `at_once`.

    Attributes:
        attempts: tries for one notice.
        timeout_s: for one try, from name to status.
        pause_s: before the second try; doubles with each, up to `pause_max_s`; a random part of it, at least half, is waited.
        down_s: how long a receiver that was given up counts as down.
        at_once: connections at a time; none is held through a pause.
    """

    attempts: int = 5
    timeout_s: float = 10.0
    pause_s: float = 0.5
    pause_max_s: float = 20.0
    down_s: float = 30.0
    at_once: int = 32


class Delivery(NamedTuple):
    """The outcome."""

    outcome: NoticeOutcome
    attempts: int


class Webhook:
    """One receiver. Use as an async context manager."""

    def __init__(
        self,
        url: str,
        secret: str | Callable[[], Sequence[str]],
        *,
        allow_private: bool = False,
        patience: Patience | None = None,
    ) -> None:
        """Take the receiver's URL and its signing secret, `whsec_<base64 of 24–64 bytes>`; or a callable that returns the secrets
        in use.

        Of several secrets each signs: a receiver needs only one of them.

        Raises:
            SettingError: if one of them can't be used.
        """
        self._url = _checked(url)
        self._host = self._url.raw_host.decode("ascii")
        self._secrets = secret if callable(secret) else lambda: [secret]
        self._signers = _signers(self._secrets())
        self._allow_private = allow_private
        self._patience = patience or Patience()
        self._down_until = self._answered_at = 0.0
        self._gave_up_at: dict[str, float] = {}  # by person, of whom nothing was answered since
        self._refused: int | None = None
        self._turns = asyncio.Semaphore(self._patience.at_once)
        self._client = httpx.AsyncClient(
            timeout=self._patience.timeout_s,
            follow_redirects=False,
            trust_env=False,
            verify=ssl.create_default_context(),
        )

    @property
    def is_down(self) -> bool:
        """Whether the receiver was given up, and has not answered since."""
        return self._down_until > 0

    async def __aenter__(self) -> Webhook:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def check(self) -> None:
        """Refuse a receiver that webhooks must not reach, before anything is sent.

        A name that can't be resolved now may be later; it passes.

        Raises:
            SettingError: if the host's address is not public, or the way there is open to all, and that isn't allowed.
        """
        if self._url.scheme != "https" and not self._allow_private:
            raise SettingError(
                "PUMASI_WEBHOOK_URL: notices go by https",
                hint="Set PUMASI_WEBHOOK_ALLOW_PRIVATE=1 for a receiver inside.",
            )
        try:
            await self._addresses()
        except AddressRefused as refused:
            raise SettingError(
                f"PUMASI_WEBHOOK_URL: {refused}", hint="Set PUMASI_WEBHOOK_ALLOW_PRIVATE=1 if that is meant."
            ) from None
        except (OSError, UnicodeError):
            pass

    async def send(self, notice: Notice, address: str | None = None, trace: bytes | None = None) -> Delivery:
        """Tell the receiver, and give it a `traceparent` if there is one; returns once it is told or given up.

        Raises nothing that the receiver could cause.
        """
        body = Posted(type=NOTICE_TYPE, timestamp=notice.at, data=notice, address=address).wire()
        attempts, began = 0, time.monotonic()
        while True:
            attempts += 1
            try:
                async with self._turns:
                    status, asked_pause = await self._post(notice.id, body, attempts, trace)
            except AddressRefused:
                return Delivery("failed", attempts - 1)
            except _TROUBLE:
                status, asked_pause = None, 0.0
            if status is not None and status < 500 and status != 429:
                self._answered_at, self._down_until = time.monotonic(), 0.0
                self._gave_up_at.pop(notice.to, None)
                self._say(status)
                return Delivery("delivered" if 200 <= status < 300 else "failed", attempts)
            if attempts >= self._patience.attempts or time.monotonic() < self._down_until:
                self._give_up(notice.to, began)
                return Delivery("gave-up", attempts)
            await asyncio.sleep(self._pause(attempts, asked_pause))

    def _give_up(self, person: str, began: float) -> None:
        """Know it as down, unless somebody was answered meanwhile or since the person's last notice that was given up."""
        now = time.monotonic()
        if self._answered_at < self._gave_up_at.pop(person, began):
            self._down_until = now + self._patience.down_s
        self._gave_up_at[person] = now
        if len(self._gave_up_at) > _GAVE_UP_MAX:
            del self._gave_up_at[next(iter(self._gave_up_at))]

    def _say(self, status: int) -> None:
        """Log the first of several refusals in a row, and each that is another."""
        refused = None if 200 <= status < 300 else status
        if refused is not None and refused != self._refused:
            log.warning(
                "the webhook's receiver refuses notices: it answers %(status)d",
                {"event": "notice_refused", "status": refused},
            )
        self._refused = refused

    def _pause(self, attempts: int, asked: float) -> float:
        most = self._patience.pause_max_s
        return max(min(asked, most), Backoff(self._patience.pause_s, most, (0.5, 1.0), attempts - 1).failed())

    async def _addresses(self) -> list[str]:
        return await resolve(self._host, self._url.port or _PORTS[self._url.scheme], self._allow_private)

    def _signed(self, notice: str, now: datetime, body: str) -> str:
        with suppress(SettingError):  # the secrets from before are better than none
            self._signers = _signers(self._secrets())
        return " ".join(signer.sign(notice, now, body) for signer in self._signers)

    async def _post(self, notice: str, body: str, attempt: int, trace: bytes | None) -> tuple[int, float]:
        """One try: the status, and the pause the receiver asks for in seconds. The answer's body is not read."""
        async with asyncio.timeout(self._patience.timeout_s):
            addresses = await self._addresses()
            now = datetime.now(UTC)
            request = self._client.build_request(
                "POST",
                self._url.copy_with(host=addresses[(attempt - 1) % len(addresses)]),
                content=body.encode(),
                headers={
                    "Host": self._url.netloc.decode(),
                    "Content-Type": "application/json",
                    "User-Agent": "pumasi-notifier",
                    "webhook-id": notice,
                    "webhook-timestamp": str(int(now.timestamp())),
                    "webhook-signature": self._signed(notice, now, body),
                    **({} if trace is None else {TRACE: trace.decode()}),
                },
                extensions={"sni_hostname": self._host},
            )
            answer = await self._client.send(request, stream=True)
            try:
                asked = answer.headers.get("retry-after", "")
                return answer.status_code, float(asked) if asked.isascii() and asked.isdigit() else 0.0
            finally:
                await answer.aclose()


def _checked(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise SettingError("PUMASI_WEBHOOK_URL: not a URL") from None
    if parsed.scheme not in _PORTS or not parsed.host:
        raise SettingError("PUMASI_WEBHOOK_URL: not an http or https URL with a host")
    if re.search(r"[^A-Za-z0-9.:_-]", parsed.raw_host.decode("ascii", "replace")) or not 0 < (parsed.port or 1) < 65536:
        raise SettingError("PUMASI_WEBHOOK_URL: no such host or port can be")
    if parsed.userinfo:
        raise SettingError("PUMASI_WEBHOOK_URL: holds a user or password; webhooks are known by their signature")
    return parsed


def _signers(secrets: Sequence[str]) -> list[Signer]:
    if not any(secrets):
        raise SettingError(
            "PUMASI_WEBHOOK_SECRET is unset, and webhooks are always signed",
            hint="`pumasi keys rotate webhook` makes one; give it to the receiver.",
        )
    return [_signer(secret) for secret in secrets]


def _signer(secret: str) -> Signer:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise SettingError("PUMASI_WEBHOOK_SECRET: not base64 after whsec_") from None
    if len(key) not in _SECRET_BYTES:
        raise SettingError(f"PUMASI_WEBHOOK_SECRET: {len(key)} bytes, not 24–64")
    return Signer(secret)
