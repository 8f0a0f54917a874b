"""Grafana's dashboards, as tables of what is asked and how it is shown; `deploy.generate` writes them to deploy/grafana.

    BOARDS   a dashboard's rows, each with its panels
    Panel    a title in plain words, why one looks at it, and PromQL by the legend of what it gives

Grafana's own types (grafana-foundation-sdk) make the JSON, so a field that is none can't be written. Money comes in major units, by a
recording rule, since no unit of Grafana's knows how many digits a currency's minor unit has.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
    VariableRefresh,
)

WIDTH: Final = 24
"""Of a dashboard, in Grafana's columns."""
_SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
_LATE_S: Final = 60.0


@dataclass(frozen=True)
class Panel:
    """What is asked, and how it is shown.

    Attributes:
        title: in plain words.
        why: what one sees in it, or what to do.
        asks: PromQL, by the legend.
        unit: Grafana's name of it.
        kind: `lines`, `stack` (parts of a whole), or `number`.
        red_from: a number is red from there on.
        words: what stands for a value, with its colour.
    """

    title: str
    why: str
    asks: Mapping[str, str]
    unit: str = "short"
    kind: str = "lines"
    red_from: float | None = None
    words: Mapping[str, tuple[str, str]] | None = None


def a_minute(metric: str, by: str) -> dict[str, str]:
    """How often something happens, by labels; what never does has no line."""
    legend = " ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    return {legend: f"60 * sum by ({by}) (rate({metric}[$__rate_interval])) > 0"}


def spread(histogram: str, *, seldom: bool = False) -> dict[str, str]:
    """What half of all stays below, and what 99 of a hundred do; of what is seldom, since the processes began."""
    buckets = (
        f"sum by (le) ({histogram}_bucket)" if seldom else f"sum by (le) (rate({histogram}_bucket[$__rate_interval]))"
    )
    return {
        "half are below": f"histogram_quantile(0.5, {buckets})",
        "99 of 100 are below": f"histogram_quantile(0.99, {buckets})",
    }


def of_partitions(metric: str) -> dict[str, str]:
    return {"partition {{partition}}": f"max by (partition) ({metric})"}


OLDEST_NOTICE: Final = Panel(
    "Oldest notice not told yet",
    "How long somebody has waited to hear what became of money or a need.",
    {"age": "max(pumasi_oldest_notice_seconds)"},
    "s",
    "number",
    red_from=5 * _LATE_S,
)
OPEN_CASES: Final = Panel(
    "Open cases, by class",
    "Needs that are open, with or without all of their money; stat comes first, then asap, urgent and routine.",
    {"{{class}}": "sum by (class) (pumasi_open_cases)"},
    kind="stack",
)
_READY: Final = {"0": ("not ready", "red"), "1": ("ready", "green")}

BOARDS: Final[Mapping[str, tuple[str, Mapping[str, tuple[Panel, ...]]]]] = {
    "pumasi": (
        "Pumasi: is money moving?",
        {
            "How it is now": (
                Panel(
                    "Services",
                    "Ready means: what is taken now would be answered. /readyz of a process says why it is not.",
                    {"{{job}}": 'max by (job) (pumasi_ready) or 0 * max by (job) (up{job=~"pumasi-.+"})'},
                    kind="number",
                    words=_READY,
                ),
                Panel(
                    "Alerts",
                    "How many fire. Each leads to a section of OPERATING.md.",
                    {"firing": 'count(ALERTS{alertname=~"Pumasi.+", alertstate="firing"}) or vector(0)'},
                    kind="number",
                    red_from=1,
                ),
                Panel(
                    "Oldest command without an answer",
                    "0 s where none waits.",
                    {"age": "max(pumasi_watermark_age_seconds or pumasi_oldest_unanswered_seconds)"},
                    "s",
                    "number",
                    red_from=_LATE_S,
                ),
                OLDEST_NOTICE,
            ),
            "Money": (
                Panel(
                    "Money in $currency, by how far it is",
                    "The parts of all that was pledged: waiting for a need, promised to one, paid, handed over, given back.",
                    {"{{stage}}": 'sum by (stage) (pumasi:money_major_units:sum{currency="$currency"})'},
                    "locale",
                    "stack",
                ),
                OPEN_CASES,
            ),
            "What comes and what is decided, a minute": (
                Panel(
                    "Events at the doors",
                    "Repeated: it came before, and nothing is done twice.",
                    a_minute("pumasi_events_total", "door, outcome"),
                ),
                Panel(
                    "Events refused, by code",
                    "What senders are told; the codes stand at /docs of intake.",
                    a_minute("pumasi_refusals_total", "door, code"),
                ),
                Panel(
                    "Decisions",
                    "What became of commands. Ticks of the clock are commands too.",
                    a_minute("pumasi_decisions_total", "outcome"),
                ),
                Panel(
                    "Commands rejected, by code",
                    "The ledger says so of each, and its receipt does.",
                    a_minute("pumasi_rejections_total", "code"),
                ),
            ),
            "What waits": (
                Panel(
                    "Age of the oldest command without an entry",
                    "By real positions of the ledger, not by group offsets. It grows by a second a second where nothing moves.",
                    of_partitions("pumasi_watermark_age_seconds"),
                    "s",
                ),
                Panel(
                    "Commands without an entry",
                    "More matchers help, up to one for each partition.",
                    of_partitions("pumasi_partition_lag_records"),
                ),
                Panel(
                    "Submissions not taken yet",
                    "On the topic of submissions; the HTTP door has no queue.",
                    of_partitions("pumasi_submissions_lag_records"),
                ),
            ),
            "How long it takes": (
                Panel(
                    "An HTTP request",
                    "From its first byte to its answer.",
                    spread("pumasi_http_request_seconds"),
                    "s",
                ),
                Panel(
                    "Until all replicas have a command",
                    "It is answered only then.",
                    spread("pumasi_publish_seconds"),
                    "s",
                ),
                Panel(
                    "A transaction of the ledger",
                    "From its first decision until Kafka has it.",
                    spread("pumasi_transaction_seconds"),
                    "s",
                ),
                Panel(
                    "A recovery",
                    "How long matchers took to rebuild a partition's memory, since they began.",
                    spread("pumasi_recovery_seconds", seldom=True),
                    "s",
                ),
            ),
            "Transactions and recoveries": (
                Panel(
                    "Transactions, a minute",
                    "Failed ones are tried again, and nothing is written twice.",
                    a_minute("pumasi_transactions_total", "outcome"),
                ),
                Panel(
                    "Commands in a transaction",
                    "It grows with load: that is how a matcher keeps up.",
                    spread("pumasi_transaction_commands"),
                ),
                Panel(
                    "Recoveries, since a matcher began",
                    "One a partition at its start, at each takeover, and after each failure. A line that climbs is trouble.",
                    {"{{instance}}": "sum by (instance) (pumasi_recoveries_total)"},
                ),
            ),
            "Processes": (
                Panel(
                    "Clocks, ahead of Kafka's",
                    "At two minutes, either way, intake takes nothing more.",
                    {"{{job}} {{instance}}": "pumasi_clock_offset_seconds"},
                    "s",
                ),
                Panel(
                    "Room on the brokers' disks",
                    "A broker whose disk is full ends. An alert fires at a tenth, if that is less than 10 GB.",
                    {"broker {{broker}}": "min by (broker) (pumasi_kafka_disk_usable_bytes / pumasi_kafka_disk_bytes)"},
                    "percentunit",
                ),
                Panel(
                    "Processors used",
                    "1 is one core.",
                    {"{{job}} {{instance}}": 'rate(process_cpu_seconds_total{job=~"pumasi-.+"}[$__rate_interval])'},
                ),
                Panel(
                    "Memory",
                    "That the processes have in RAM.",
                    {"{{job}} {{instance}}": 'process_resident_memory_bytes{job=~"pumasi-.+"}'},
                    "bytes",
                ),
                Panel(
                    "Processes, by version",
                    "Two versions at a time are usual during an upgrade, and not after it.",
                    {"{{service}} {{version}}": "count by (service, version) (pumasi_build_info)"},
                    kind="stack",
                ),
            ),
        },
    ),
    "pumasi-people": (
        "Pumasi: is everybody told?",
        {
            "How it is now": (
                Panel(
                    "Notices that wait",
                    "Told from the ledger, each until the receiver has taken or refused it.",
                    {"waiting": "sum(pumasi_notices_waiting)"},
                    kind="number",
                ),
                OLDEST_NOTICE,
                Panel(
                    "Notices nobody heard, within a day",
                    "Refused by the receiver, or given up. They stand on pumasi.notices.v1, and nobody tries them again.",
                    {"lost": 'round(sum(increase(pumasi_notices_total{outcome=~"failed|gave-up"}[1d]))) or vector(0)'},
                    kind="number",
                    red_from=1,
                ),
                Panel(
                    "Records that could not be read, within a day",
                    "Dead letters: `pumasi deadletters list` shows them.",
                    {"letters": "round(sum(increase(pumasi_deadletters_total[1d]))) or vector(0)"},
                    kind="number",
                    red_from=1,
                ),
            ),
            "Notices": (
                Panel(
                    "Notices a minute, by what became of them",
                    "failed: the receiver refused it; gave-up: it did not answer; suppressed: there is no way to reach somebody.",
                    a_minute("pumasi_notices_total", "channel, outcome"),
                ),
                Panel(
                    "Age of the oldest notice not told yet",
                    "It grows by a second a second where the receiver is down.",
                    {"age": "max(pumasi_oldest_notice_seconds)"},
                    "s",
                ),
                Panel(
                    "Ledger entries not read yet",
                    "By the notifier.",
                    of_partitions("pumasi_ledger_lag_records"),
                ),
            ),
            "People who wait": (
                OPEN_CASES,
                Panel(
                    "Money in $currency that is paid and not handed over",
                    "Somebody has to bring it.",
                    {"settled": 'sum(pumasi:money_major_units:sum{stage="settled", currency="$currency"})'},
                    "locale",
                ),
                Panel(
                    "Records that could not be read, a minute",
                    "By the service that met them, and why.",
                    a_minute("pumasi_deadletters_total", "job, code"),
                ),
            ),
        },
    ),
}


def files() -> dict[str, str]:
    """Each dashboard's file name, and its JSON."""
    return {f"{name}.json": _board(name, *board) for name, board in BOARDS.items()}


def _board(name: str, title: str, rows: Mapping[str, tuple[Panel, ...]]) -> str:
    source = dashboard.DatasourceVariable("datasource").type("prometheus").label("Prometheus")
    currencies = dashboard.QueryVariable("currency").label("Currency").datasource(_SOURCE)
    currencies.query("label_values(pumasi:money_major_units:sum, currency)").refresh(
        VariableRefresh.ON_TIME_RANGE_CHANGED
    )
    board = dashboard.Dashboard(title).uid(name).tags(["pumasi"]).refresh("30s").time("now-6h", "now")
    board.timezone("browser").tooltip(DashboardCursorSync.CROSSHAIR).with_variable(source).with_variable(currencies)
    for row, panels in rows.items():
        board.with_row(dashboard.Row(row))
        for panel in panels:
            board.with_panel(_panel(panel, WIDTH // len(panels)))
    made = json.loads(JSONEncoder().encode(board.build()))
    for panel in made["panels"]:
        panel.pop("id", None)  # Grafana numbers them; the SDK numbers all rows 0
    return json.dumps(made, indent=1, sort_keys=True) + "\n"


def _panel(panel: Panel, width: int) -> Any:
    shown = _number(panel) if panel.kind == "number" else _lines(panel)
    shown.title(panel.title).description(panel.why).unit(panel.unit).no_value("none").span(width).datasource(_SOURCE)
    for number, (legend, expr) in enumerate(panel.asks.items()):
        shown.with_target(prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(chr(ord("A") + number)))
    return shown


def _number(panel: Panel) -> stat.Panel:
    shown = stat.Panel().height(4).reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    if panel.words is not None:
        words = {value: ValueMappingResult(text=text, color=color) for value, (text, color) in panel.words.items()}
        shown.mappings([ValueMap(options=words)])
    steps = [Threshold(None, "green"), *([Threshold(panel.red_from, "red")] if panel.red_from else [])]
    return shown.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))


def _lines(panel: Panel) -> timeseries.Panel:
    legend = (
        common.VizLegendOptions().display_mode(looks.LegendDisplayMode.LIST).placement(looks.LegendPlacement.BOTTOM)
    )
    tooltip = common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI).sort(looks.SortOrder.DESCENDING)
    shown = timeseries.Panel().height(8).legend(legend.show_legend(True)).tooltip(tooltip).line_width(1)
    shown.show_points(looks.VisibilityMode.AUTO)
    if panel.kind == "stack":
        shown.fill_opacity(40).stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL).group("A"))
    elif not any("offset" in expr for expr in panel.asks.values()):
        shown.min(0)
    return shown
