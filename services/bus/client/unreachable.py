"""Why Kafka can't be reached. aiokafka hides the reason, so a client that failed to connect tries once more, just to learn why.

kafka_untrusted     Kafka's certificate was issued by nobody whom we trust, is for another name, or out of date
kafka_refused       Kafka doesn't let us in: user and password, or our certificate
kafka_unreachable   anything else; nobody may be there
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from aiokafka.conn import create_conn
from aiokafka.errors import IllegalSaslStateError, KafkaError, SaslAuthenticationFailed, UnsupportedSaslMechanismError
from aiokafka.protocol.metadata import MetadataRequest

from services.bus.security import connection
from services.errors import KafkaRefused, KafkaUnreachable, KafkaUntrusted

_KNOCK_MS = 3_000
_HINT = (
    "Check PUMASI_KAFKA, and how it lets in (PUMASI_OPEN, PUMASI_KAFKA_SECURITY, PUMASI_KEYS); or unset it and start a broker here "
    "with `pumasi up` or `pumasi kafka`."
)


async def why_unreachable(bootstrap: str, error: BaseException) -> KafkaUnreachable:
    """What to tell of a client that could not connect; `error` is what it raised."""
    told = await asyncio.gather(*(_knock(server, connection(bootstrap)) for server in bootstrap.split(",")))
    return next((one for one in told if one is not None), unreachable(bootstrap, error))


def unreachable(bootstrap: str, error: BaseException) -> KafkaUnreachable:
    """What to tell where there is no time to ask."""
    return KafkaUnreachable(f"no Kafka broker answers at {bootstrap} ({type(error).__name__})", hint=_HINT)


async def _knock(server: str, how: dict[str, Any]) -> KafkaUnreachable | None:
    host, _, port = server.rpartition(":")
    options = {name: value for name, value in how.items() if name != "bootstrap_servers"}
    options["request_timeout_ms"] = _KNOCK_MS
    try:
        knocking = await create_conn(host.strip("[]"), int(port), **options)
        try:
            await knocking.send(MetadataRequest([]))
        finally:
            knocking.close()
    except (KafkaError, OSError, TimeoutError) as error:
        return _reason(server, error, options["security_protocol"])
    return None


def _reason(server: str, error: BaseException, protocol: str) -> KafkaUnreachable | None:
    cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
    match cause:
        case ssl.SSLCertVerificationError():
            return KafkaUntrusted(
                f"Kafka at {server} shows a certificate that isn't trusted: {cause.verify_message}",
                hint="PUMASI_KAFKA_CA_FILE names whom to trust; PUMASI_KAFKA must name the host as its certificate does.",
            )
        case ssl.SSLError():
            return KafkaRefused(
                f"Kafka at {server} doesn't take us by TLS ({cause.reason})",
                hint="Where it asks for a certificate: PUMASI_KAFKA_SECURITY=mtls, with one that is by whom Kafka trusts.",
            )
        case SaslAuthenticationFailed():
            return KafkaRefused(
                f"Kafka at {server} doesn't take our user and password",
                hint="PUMASI_KAFKA_USER and PUMASI_KAFKA_PASSWORD_FILE say which, or `<user>.password` in PUMASI_KEYS.",
            )
        case IllegalSaslStateError() | UnsupportedSaslMechanismError():
            return KafkaRefused(
                f"Kafka at {server} asks for no user and password there, or for another kind of them",
                hint=f"We come with {protocol}, SCRAM-SHA-512: see PUMASI_KAFKA_SECURITY.",
            )
    return None
