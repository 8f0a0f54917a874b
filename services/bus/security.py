"""How a client convinces Kafka of who it is, and Kafka the client: said once, and carried by the address.

    settings ─► Security ─► Servers: an address that knows it ─► connection(servers) ─► what aiokafka and FastStream are told

An address goes through many hands before somebody connects. So it carries how, and whoever has the address can connect as whoever it
was made for, and as nobody else. A plain string is an open one.

    plain   no password and no encryption; for an open broker on this machine, and experiments
    tls     Kafka shows a certificate; anybody may connect
    scram   a user and a password, which is never sent (SCRAM-SHA-512), within TLS except towards this machine
    mtls    TLS, and we show a certificate too
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from services import keys
from services.errors import SettingError

if TYPE_CHECKING:
    from services.settings import Settings

SCRAM: Final = "SCRAM-SHA-512"
ANSWER_MS: Final = 10_000
"""Milliseconds after which a broker that has a request and says nothing is asked no more. By then others lead what it led: Kafka gives
a silent broker 9 s. aiokafka's own 40 s would let a broker that hangs hold up its clients long after nobody needs it."""


@dataclass(frozen=True)
class Security:
    """As Kafka's clients know it: protocol `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`; files are PEM."""

    protocol: str = "PLAINTEXT"
    user: str = ""
    password: str = field(default="", repr=False)
    mechanism: str = SCRAM
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    def options(self) -> dict[str, Any]:
        """For aiokafka.

        Raises:
            SettingError: if a file can't be used.
        """
        told: dict[str, Any] = {"security_protocol": self.protocol}
        if self.protocol.endswith("SSL"):
            told["ssl_context"] = self._context()
        if self.protocol.startswith("SASL"):
            told |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        return told

    def _context(self) -> ssl.SSLContext:
        with _told(self.ca_file):
            context = ssl.create_default_context(cafile=self.ca_file)
        # From Python 3.13 on, a certificate without an authority key identifier is refused, as Strimzi makes them. Who signed it, and
        # for which host, is checked all the same.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self.certificate_file is not None:
            with _told(self.certificate_file, self.key_file):  # without a password, OpenSSL would ask on the terminal
                context.load_cert_chain(self.certificate_file, self.key_file, password=lambda: "")
        return context

    def properties(self) -> dict[str, str]:
        """For Kafka's own tools."""
        told = {"security.protocol": self.protocol}
        if self.protocol.startswith("SASL"):
            module = "org.apache.kafka.common.security.scram.ScramLoginModule"
            told["sasl.mechanism"] = self.mechanism
            told["sasl.jaas.config"] = f'{module} required username="{self.user}" password="{self.password}";'
        if self.ca_file is not None:
            told |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(self.ca_file.absolute())}
        if self.certificate_file is not None and self.key_file is not None:
            told["ssl.keystore.type"] = "PEM"
            told["ssl.keystore.certificate.chain"] = self.certificate_file.read_text()
            told["ssl.keystore.key"] = self.key_file.read_text()
        return told


@contextmanager
def _told(*files: Path | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # ssl's own errors are such
        why = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        raise SettingError(
            f"Kafka's clients can't use {' with '.join(map(str, filter(None, files)))} ({why or 'no PEM'})",
            hint="PUMASI_KAFKA_CA_FILE, …_CERTIFICATE_FILE and …_KEY_FILE are PEM files, keys without a passphrase.",
        ) from None


class Servers(str):
    """Bootstrap servers, `host:port,…`, with how to connect to them."""

    security: Security

    def __new__(cls, servers: str, security: Security = Security()) -> Self:
        made = super().__new__(cls, servers)
        made.security = security
        return made


Bootstrap = Callable[[], str]
"""Says where Kafka is and how to connect to it; asked at every attempt, since that may change. It may raise KafkaUnreachable."""


def connection(bootstrap: str) -> dict[str, Any]:
    """What every client of Kafka is told of where and how to connect."""
    security = bootstrap.security if isinstance(bootstrap, Servers) else Security()
    return {"bootstrap_servers": str(bootstrap), "request_timeout_ms": ANSWER_MS, **security.options()}


def servers(settings: Settings, bootstrap: str, user: str) -> Servers:
    """An address as one user of `services.bus.access` connects to it, by the settings.

    Raises:
        SettingError: if a password or certificate that they name isn't there, or lies open.
    """
    made = Servers(bootstrap, _security(settings, bootstrap, user))
    made.security.options()  # raises now what is amiss with its files
    return made


def _security(settings: Settings, bootstrap: str, user: str) -> Security:
    ca = settings.kafka_ca_file
    match settings.way_in:
        case "plain":
            return Security()
        case "tls":
            return Security("SSL", ca_file=ca)
        case "mtls":
            certificate, key = settings.kafka_certificate_file, settings.kafka_key_file
            if certificate is None or key is None:
                raise SettingError(
                    "PUMASI_KAFKA_SECURITY=mtls needs PUMASI_KAFKA_CERTIFICATE_FILE and PUMASI_KAFKA_KEY_FILE"
                )
            return Security("SSL", ca_file=ca, certificate_file=certificate, key_file=key)
    open_wire = ca is None and all(_is_here(one) for one in bootstrap.split(","))
    protocol = "SASL_PLAINTEXT" if open_wire else "SASL_SSL"
    return Security(protocol, settings.kafka_user or user, keys.kafka_password(settings, user), ca_file=ca)


def client_properties(bootstrap: Servers) -> str:
    """The text of a `client.properties` for Kafka's own tools."""
    return as_properties({"bootstrap.servers": str(bootstrap), **bootstrap.security.properties()})


def as_properties(values: Mapping[str, object]) -> str:
    """Lines as `java.util.Properties` reads them."""
    return "".join(f"{key}={_escaped(value)}\n" for key, value in values.items())


def _escaped(value: object) -> str:
    r"""A value as `java.util.Properties` reads it: `\` doubled, everything outside ASCII as `\uXXXX`."""
    text = str(value).replace("\\", "\\\\").encode("utf-16-be", "surrogatepass")
    units = (int.from_bytes(text[i : i + 2], "big") for i in range(0, len(text), 2))
    escaped = "".join(chr(u) if 32 <= u < 127 else f"\\u{u:04x}" for u in units)
    return "\\" + escaped if escaped.startswith(" ") else escaped


def _is_here(server: str) -> bool:
    host = server.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
