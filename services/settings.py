"""Every setting once: its name, type, limits, default, and what it means in which unit.

A setting comes from a command's option if one is given, else from the environment variable `PUMASI_<NAME>`, else from the
default here. There is no settings file: a container, a unit file and a shell all know how to set a variable. The table in
`deploy/SETTINGS.md` is made from this class (`as_markdown`), and a test holds it.
"""

import os
import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.values import SCHEMES
from services.errors import SettingError

PREFIX = "PUMASI_"
_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9][A-Za-z0-9-]{0,62})*")
_SERVER = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


def _listed(check: Callable[[str], str], if_empty: str | None = None) -> BeforeValidator:
    """Words with commas between, each as `check` gives it, or raises. None at all count as unset, as in `PUMASI_KAFKA= pumasi up`, or
    are an error, which `if_empty` says."""

    def listed(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        words = [check(word) for part in value.split(",") if (word := part.strip())]
        if not words and if_empty is not None:
            raise ValueError(if_empty)
        return ",".join(words) or None

    return BeforeValidator(listed)


def _server(server: str) -> str:
    match = _SERVER.fullmatch(server)
    if not match or not 0 < int(match[2]) < 65536:
        raise ValueError(f"{server!r} is not host:port, such as kafka-1.example.org:9092")
    return server


def _scheme(scheme: str) -> str:
    if (known := scheme.lower()) not in SCHEMES:
        raise ValueError(f"{known!r} is not one of {','.join(SCHEMES)}")
    return known


def _network(network: str) -> str:
    try:
        ip_network(network)
    except ValueError:
        told = f"{network!r} is neither an address, such as 127.0.0.1, nor a network, such as 10.0.0.0/8"
        raise ValueError(told) from None
    return network


def _address(value: Any) -> Any:
    """An IP address, or a name that could have one."""
    if not isinstance(value, str):
        return value
    try:
        ip_address(value)
    except ValueError:
        if not _NAME.fullmatch(value) or value.rpartition(".")[2].isdigit():
            raise ValueError("not an address, such as 127.0.0.1, ::1, or a name") from None
    return value


Servers = Annotated[str | None, _listed(_server)]
Port = Annotated[int, Field(ge=0, le=65535)]


OPEN = "PUMASI_OPEN=1: nobody is asked who they are, and everybody on this machine may read and change all."
"""What is said at every start of an installation that is open."""


class Settings(BaseSettings):
    """What a process of Pumasi may be told from outside. Frozen: read once, at the start."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, use_attribute_docstrings=True
    )

    kafka: Servers = None
    """Kafka's bootstrap servers, `host:9092,…`. Unset: the embedded broker, or the one running on `data`."""
    kafka_security: Literal["plain", "tls", "scram", "mtls"] | None = None
    """How clients connect to Kafka: `scram` (user and password, within TLS unless Kafka is on this machine), `tls`, `mtls`, or
    `plain`. Unset: `scram`, and `plain` where `open` is set."""
    kafka_ca_file: Path | None = None
    """PEM file of whom to trust for Kafka's certificate. Unset: whom this machine trusts."""
    kafka_user: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]{1,64}$")
    """Kafka user, for `scram`. Unset: each service's own, such as `pumasi-intake`."""
    kafka_password_file: Path | None = None
    """File with that user's password, mode 0600. Unset: `<user>.password` in `keys`."""
    kafka_certificate_file: Path | None = None
    """PEM file with the certificate that we show, for `mtls`."""
    kafka_key_file: Path | None = None
    """PEM file with that certificate's private key, for `mtls`."""
    data: Path = Path(".pumasi")
    """Directory for everything kept on this machine but keys: the embedded broker's log."""
    keys: Path | None = None
    """Directory of keys and passwords, one file each, mode 0600. Never in `data`, so that no copy of the one holds the other.
    Unset: beside it, `<data>-keys`."""
    open: bool = False
    """Ask nobody who they are: the embedded broker without passwords and rights, the doors without keys and signatures. For
    experiments on made-up people."""
    kafka_port: Port = 9092
    """TCP port of the embedded broker on 127.0.0.1. Taken and not asked for: a free one is chosen. 0: any."""
    http_host: Annotated[str, BeforeValidator(_address)] = "127.0.0.1"
    """Address the HTTP services listen on. `0.0.0.0`: every interface."""
    http_hosts: str | None = None
    """Names that the HTTP door answers to, with commas between; any other `Host` or `Origin` is refused. `*`: to all. Unset:
    `localhost`, this machine's own addresses `127.0.0.1` and `::1`, and `http_host`."""
    http_port: Port = 8080
    """TCP port of the HTTP services. Taken and not asked for: a free one is chosen. 0: any."""
    http_certificate_file: Path | None = None
    """PEM file with the HTTP door's certificate and those between it and its root: HTTP is then HTTPS. Unset: no TLS."""
    http_key_file: Path | None = None
    """PEM file with that certificate's private key, without a passphrase, and not for everybody to read."""
    http_connections: int = Field(512, ge=0)
    """HTTP connections open at once; for one more the idlest is closed. Below what the system lets a process open (`ulimit -n`). 0:
    any number."""
    http_connections_per_address: int = Field(64, ge=0)
    """Those of one address, or of one IPv6 /64. Behind a proxy, which is one address, set it as `http_connections`."""
    http_proxies: Annotated[str | None, _listed(_network)] = None
    """Addresses or networks of proxies, with commas between, whose `X-Forwarded-For` and `-Proto` say who came and how. Whoever can
    connect from there can name any address. Unset: nobody is believed."""
    health_port: Port | None = None
    """TCP port of a service's `/livez`, `/readyz` and `/metrics`. `up` gives its services this one and those after it. 0: any free
    one, told when ready. Unset: none; intake has the three at its HTTP door in any case."""
    health_host: Annotated[str, BeforeValidator(_address)] = "127.0.0.1"
    """Address it listens on. Nobody is asked who they are there, and figures may tell of people."""
    partitions: int = Field(4, ge=1, le=1024)
    """Partitions of each topic, so the most matchers at work at once. Fixed once topics exist."""
    replication: int = Field(1, ge=1, le=32767)
    """Replicas of each partition; 3 on a cluster worth its name."""
    tick_seconds: float = Field(60.0, gt=0, le=86400)
    """Seconds between two `pumasi.clock.ticked` on a partition: how late a timer may fire."""
    trust_time: bool = False
    """Take a submission's own `time`, and let ticks follow it (demo, simulation, import). Never in service."""
    sender_rate: int = Field(5_000, ge=0)
    """Events a second that one sender may send over HTTP; beyond that it hears 429. 0: any number."""
    address_rate: int = Field(1_000, ge=0)
    """Requests a second that one address may send, with a key or without. 0: any number."""
    pseudonym_key: SecretStr | None = None
    """base64 of 32 bytes: the key that turns contacts into pseudonyms. Unset: `pseudonym.key` in `keys`."""
    id_key: SecretStr | None = None
    """base64 of 32 bytes: the key that ids and receipts are hashed with; never renewed. Unset: `id.key` in `keys`."""
    recipients: Annotated[str, _listed(_scheme, if_empty="at least one is needed")] = ",".join(SCHEMES)
    """Schemes of addresses by which people may be reached, of those in the default; any other is refused."""
    notifier_public_key: str | None = None
    """base64 of 32 bytes: whom contacts are sealed for. Unset: `notifier.pub` in `keys`."""
    reporter_public_key: str | None = None
    """base64 of 32 bytes: whom it is sealed for what cases say of access. Unset: `reporter.pub` in `keys`."""
    webhook_url: SecretStr | None = None
    """Where the notifier posts each notice (Standard Webhooks), by https. It may hold a token, and is never shown. Unset: no
    webhook."""
    webhook_secret: SecretStr | None = None
    """Standard Webhooks signing secret, `whsec_<base64 of 24–64 bytes>`, or two with a blank between while the receiver changes
    over: each signs. Needed by `webhook_url`. Unset: `webhook.secret` in `keys`."""
    webhook_allow_private: bool = False
    """Let webhooks reach loopback, link-local and private addresses, and go by http (tests, an internal receiver)."""
    webhook_addresses: bool = False
    """Send with each notice the address of whoever is told, opened from their contact, so that the receiver can reach them. Only
    for a receiver that may know everybody it reaches."""
    language: Literal["en", "ko", "zh"] = "en"
    """Language of notices to whom no other language is known."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe log line of ours that is written; libraries are heard from WARNING on, and never with values."""
    log_json: bool = False
    """Write log lines as JSON, one an event, with a stable `event` and fields, for what collects them."""
    traces: str | None = Field(None, pattern=r"^https?://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9._/-]*)?$")
    """Where traces go: the base of an OTLP receiver over HTTP, such as `http://127.0.0.1:4318`. OpenTelemetry's own variables
    (`OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS` …) hold besides. Unset: no traces."""
    transaction_timeout_ms: int = Field(60_000, ge=1_000, le=900_000)
    """Milliseconds after which Kafka aborts a transaction whose matcher went silent; until then readers wait."""
    checkpoint_entries: int = Field(100_000, ge=1)
    """Entries of a partition after which the matcher writes a checkpoint of what has changed."""
    checkpoint_seconds: float = Field(300.0, gt=0)
    """Seconds after which it writes one at the latest, if there were entries."""
    instance: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]{1,64}$")
    """Name of this process, by which `status` tells of it. A matcher that is killed and started again under its name has its
    partitions back at once, not after `session_timeout_ms`; each one that runs needs its own. Unset: one made up at each start."""
    session_timeout_ms: int = Field(6_000, ge=6_000, le=300_000)
    """Milliseconds of silence after which a consumer's partitions go to another."""
    heap_mb: int = Field(384, ge=128, le=512)
    """MiB of Java heap the embedded broker may use at most."""

    @field_validator("*", mode="before")
    @classmethod
    def _unset_if_blank(cls, value: Any, field: ValidationInfo) -> Any:
        """What need not be set is not set by blanks."""
        is_blank = isinstance(value, str) and not value.strip()
        return None if is_blank and cls.model_fields[field.field_name or ""].default is None else value

    @property
    def way_in(self) -> Literal["plain", "tls", "scram", "mtls"]:
        """How clients connect to Kafka."""
        return self.kafka_security or ("plain" if self.open else "scram")

    @property
    def kafka_port_asked(self) -> int | None:
        """The broker's port if someone asked for it; None if any free port will do."""
        return self.kafka_port if "kafka_port" in self.model_fields_set else None

    @property
    def http_port_asked(self) -> int | None:
        """The HTTP port if someone asked for it; None if any free port will do."""
        return self.http_port if "http_port" in self.model_fields_set else None


SECRET = frozenset(
    PREFIX + name.upper() for name, field in Settings.model_fields.items() if SecretStr in get_args(field.annotation)
)
"""The variables of settings that are secrets themselves."""


NO_SETTINGS = frozenset(PREFIX + name for name in ("CALLED_AS", "PURE", "PYTHON", "SOAK_CLOCK"))
"""Variables of ours that are none: the run script's, the compiled path's, the soak's."""
_OF_KUBERNETES = re.compile(r"PUMASI_(.*_)?(SERVICE_(HOST|PORT)(_.*)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_.*)?)")
"""What Kubernetes sets in a container, of services whose name begins with ours; and `PUMASI_PORT=tcp://…`."""


def load(**options: Any) -> Settings:
    """Settings from the environment, overridden by each option that isn't None.

    Raises SettingError (exit status 2) that names every setting at fault, its value unless secret, and why; and if there is a variable
    that is no setting, since what was to be set isn't.
    """
    _refuse_unknown()
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingError(
            "; ".join(_explain(error, given)),
            hint="See `pumasi --help` for options; unset a PUMASI_* variable to get its default.",
        ) from None


def _refuse_unknown() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields} | NO_SETTINGS
    unknown = sorted(
        name for name, value in os.environ.items()
        if name.startswith(PREFIX) and name not in known
        and not _OF_KUBERNETES.fullmatch(name) and not (name.endswith("_PORT") and "://" in value)
    )  # fmt: skip
    if not unknown:
        return
    nearest = [f"{name} (did you mean {like[0]}?)" if (like := _like(name, known)) else name for name in unknown]
    raise SettingError(
        f"no such setting: {', '.join(nearest)}",
        hint=f"Unset it: unset {' '.join(unknown)}. deploy/SETTINGS.md has every setting.",
    )


def _like(name: str, known: set[str]) -> list[str]:
    return [
        PREFIX + like
        for like in get_close_matches(name.removeprefix(PREFIX), [k.removeprefix(PREFIX) for k in known], 1)
    ]


def _explain(error: ValidationError, given: dict[str, Any]) -> Iterator[str]:
    from schemas.violations import of_text  # the contract's models, which most starts do without here

    inputs = [finding["input"] for finding in error.errors(include_url=False)]
    for (name, reason), told in zip(of_text(error), inputs, strict=True):
        shown = "--" + name.replace("_", "-") if name in given else PREFIX + name.upper()
        value = "" if "secret" in name or name.endswith("_key") else f" (it is {told!r})"
        yield f"{shown}: {reason}{value}"


def as_markdown() -> str:
    """The table of `deploy/SETTINGS.md`: every setting in the order of the class."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = _shown(field.default)
        meaning = " ".join((field.description or "").split())
        lines.append(f"| `{PREFIX}{name.upper()}` | {f'`{default}`' if default else '–'} | {meaning} |")
    return "\n".join(lines) + "\n"


def _shown(default: Any) -> str:
    match default:
        case None:
            return ""
        case bool():
            return "1" if default else "0"
        case float():
            return f"{default:g}"
        case _:
            return str(default)
