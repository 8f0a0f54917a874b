"""Rules and dashboards: what Prometheus takes, when each alert fires and when it doesn't, and that they name what is there."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from deploy import generate
from services import metrics
from tests.deploy_files import COMPOSE, DEPLOY, compose
from tests.prometheus import (
    RULES,
    alerts,
    asked,
    dashboards,
    groups,
    needs_prometheus,
    panels,
    promtool,
    recorded,
    series_in,
)

SITUATIONS = {
    "lag-grows", "a-partition-stopped", "disputed-case", "clock-off", "bad-deploy", "a-disk-fills", "disk-lost", "key-lost",
    "keys-rotated", "receiver-down", "kafka-upgraded",
}  # fmt: skip
"""What may happen: each has a section in OPERATING.md; its other sections may be led to as well."""
OF_PROMETHEUS = {"up", "ALERTS"}
OF_THE_LIBRARY = {"process_start_time_seconds", "process_cpu_seconds_total", "process_resident_memory_bytes"}


class Case(NamedTuple):
    """Series as promtool writes them, a value a minute; the minute at which one looks; and how many alerts fire then."""

    series: dict[str, str]
    minute: int
    fire: int


UP = {f'up{{job="pumasi-{name}", instance="a"}}': "1x60" for name in metrics.SERVICES}
MATCHER_UP = 'up{job="pumasi-matcher", instance="a"}'
LAG = {f'pumasi_partition_lag_records{{partition="{number}"}}': "0x60" for number in range(4)}
STARTED = 'process_start_time_seconds{job="pumasi-matcher", instance="a"}'
CLOCK = 'pumasi_clock_offset_seconds{job="pumasi-intake", instance="a"}'
AGE = 'pumasi_watermark_age_seconds{partition="2"}'
STOPPED = 'pumasi_partition_stopped{partition="2", code="ledger_tampered"}'
FAILED = 'pumasi_transactions_total{outcome="failed"}'
WAITING = 'pumasi_submissions_lag_records{partition="0"}'
LETTERS = 'pumasi_deadletters_total{job="pumasi-intake", code="malformed"}'
REFUSED = 'pumasi_refusals_total{door="http", code="unauthorized"}'
GAVE_UP = 'pumasi_notices_total{channel="webhook", outcome="gave-up"}'


def disk(usable: float, total: float) -> dict[str, str]:
    told = {"usable_": usable, "": total}
    return {f'pumasi_kafka_disk_{which}bytes{{broker="1"}}': f"{size}x9" for which, size in told.items()}


CASES: dict[str, list[Case]] = {
    "PumasiDiskFills": [
        Case(disk(9e9, 80e9), 5, 0),
        Case(disk(11e9, 1000e9), 5, 0),
        Case(disk(1.9e9, 20e9), 1, 0),
        Case(disk(1.9e9, 20e9), 3, 1),
        Case(disk(9e9, 1000e9), 3, 1),
    ],
    "PumasiServiceDown": [
        Case(UP, 10, 0),
        Case({**UP, MATCHER_UP: "1x5 0x60"}, 7, 0),
        Case({**UP, MATCHER_UP: "1x5 0x60"}, 9, 1),
        Case({**UP, MATCHER_UP: "0x60", 'up{job="pumasi-matcher", instance="b"}': "1x60"}, 10, 0),
        Case({series: told for series, told in UP.items() if series != MATCHER_UP}, 5, 1),
    ],
    "PumasiProcessDown": [
        Case({**UP, MATCHER_UP: "0x60", 'up{job="pumasi-matcher", instance="b"}': "1x60"}, 4, 0),
        Case({**UP, MATCHER_UP: "0x60", 'up{job="pumasi-matcher", instance="b"}': "1x60"}, 6, 1),
        Case({**UP, MATCHER_UP: "0x60"}, 10, 0),
    ],
    "PumasiProcessRestarts": [
        Case({STARTED: "1 2 3 4 4 4 4"}, 6, 0),
        Case({STARTED: "1 2 3 4 5 5 5"}, 6, 1),
        Case({STARTED: "1 2 3 4 5 5x30"}, 25, 0),
    ],
    "PumasiNotReady": [
        Case({'pumasi_ready{job="pumasi-intake", instance="a"}': "0x60"}, 2, 0),
        Case({'pumasi_ready{job="pumasi-intake", instance="a"}': "0x60"}, 4, 1),
        Case(
            {
                'pumasi_ready{job="pumasi-intake", instance="a"}': "0x60",
                'pumasi_ready{job="pumasi-intake", instance="b"}': "1x60",
            },
            10,
            0,
        ),
    ],
    "PumasiClockDrifts": [
        Case({CLOCK: "29x9"}, 5, 0),
        Case({CLOCK: "0x3 31x9"}, 4, 0),
        Case({CLOCK: "31x9"}, 5, 1),
        Case({CLOCK: "-31x9"}, 5, 1),
    ],
    "PumasiClockOff": [Case({CLOCK: "119x9"}, 5, 0), Case({CLOCK: "121x9"}, 5, 1), Case({CLOCK: "-121x9"}, 5, 1)],
    "PumasiAnswersLate": [
        Case({AGE: "59x9"}, 5, 0),
        Case({AGE: "0 60 120 180"}, 2, 0),
        Case({AGE: "0 60 120 180"}, 3, 1),
        Case({"pumasi_oldest_unanswered_seconds": "0+60x9"}, 4, 1),
    ],
    "PumasiLagGrows": [
        Case({'pumasi_partition_lag_records{partition="0"}': "0+100x60"}, 13, 0),
        Case({'pumasi_partition_lag_records{partition="0"}': "0+100x60"}, 20, 1),
        Case({'pumasi_partition_lag_records{partition="0"}': "0+10x60"}, 40, 0),
        Case({'pumasi_partition_lag_records{partition="0"}': "9000-100x60"}, 20, 0),
    ],
    "PumasiPartitionStopped": [
        Case({STOPPED: "0x9"}, 5, 0),
        Case({STOPPED: "0 1 1"}, 1, 1),
        Case({STOPPED: "0 1 stale"}, 4, 1),
        Case({STOPPED: "0 1 0x9"}, 8, 0),
    ],
    "PumasiRecoveriesFlap": [
        Case({**LAG, "pumasi_recoveries_total": "0 4 8 8x60"}, 15, 0),
        Case({**LAG, "pumasi_recoveries_total": "0+1x60"}, 15, 1),
    ],
    "PumasiTransactionsFail": [Case({FAILED: "0 0 1 1x9"}, 4, 0), Case({FAILED: "0 1 2 3 4 5"}, 5, 1)],
    "PumasiSubmissionsStuck": [
        Case({WAITING: "7x60"}, 1, 0),
        Case({WAITING: "7x60"}, 8, 1),
        Case({WAITING: "1+9x60"}, 8, 1),
        Case({WAITING: "900-9x60"}, 8, 0),
        Case({WAITING: "7 9 6 8 7 9 8 9 6 8 9"}, 10, 0),
    ],
    "PumasiDeadLetters": [
        Case({LETTERS: "_x20 1x60"}, 25, 1),
        Case({LETTERS: "1x60"}, 20, 0),
        Case({LETTERS: "1x20 2x60"}, 25, 1),
        Case({LETTERS: "1x20 2x60"}, 45, 0),
    ],
    "PumasiRefusalsFlood": [
        Case({REFUSED: "0+30x60"}, 20, 0),
        Case({REFUSED: "0+90x60"}, 5, 0),
        Case({REFUSED: "0+90x60"}, 12, 1),
    ],
    "PumasiNoticesLate": [
        Case({"pumasi_oldest_notice_seconds": "0+50x60"}, 7, 0),
        Case({"pumasi_oldest_notice_seconds": "0+50x60"}, 10, 1),
        Case({"pumasi_oldest_notice_seconds": "0 301 0 0 0"}, 4, 0),
    ],
    "PumasiNoticesGivenUp": [
        Case({GAVE_UP: "0x9"}, 5, 0),
        Case({GAVE_UP: "0 0 3 3"}, 3, 1),
        Case({GAVE_UP: "0 3 3x60"}, 20, 0),
    ],
}


@needs_prometheus
@pytest.mark.parametrize("rules", RULES, ids=lambda path: path.name)
def test_prometheus_takes_the_rules(rules: Path) -> None:
    assert promtool("check", "rules", rules) == ""


def test_each_alert_is_shown_to_fire_and_not_to_fire() -> None:
    assert CASES.keys() == alerts().keys()
    assert all({case.fire for case in cases} == {0, 1} for cases in CASES.values())


@needs_prometheus
@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_when_it_should_and_not_before(alert: str, tmp_path: Path) -> None:
    firing = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)'
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
            "promql_expr_test": [
                {"expr": firing, "eval_time": f"{case.minute}m", "exp_samples": [{"labels": "{}", "value": case.fire}]}
            ],
        }
        for case in CASES[alert]
    ]
    file = tmp_path / "test.yml"
    file.write_text(
        yaml.safe_dump({"rule_files": [str(path) for path in RULES], "evaluation_interval": "15s", "tests": tests})
    )
    assert promtool("test", "rules", file) == ""


@needs_prometheus
def test_money_is_in_major_units_by_the_digits_of_its_currency(tmp_path: Path) -> None:
    minor = {"CNY": 1_234_56, "KRW": 5_000, "KWD": 7_125}
    test = {
        "input_series": [
            {
                "series": f'pumasi_money_minor_units{{stage="settled", currency="{currency}", instance="{instance}"}}',
                "values": f"{units}x9",
            }
            for currency, units in minor.items()
            for instance in ("a", "b")
        ],
        "promql_expr_test": [
            {
                "expr": "pumasi:money_major_units:sum",
                "eval_time": "3m",
                "exp_samples": [
                    {
                        "labels": f'pumasi:money_major_units:sum{{stage="settled", currency="{currency}"}}',
                        "value": value,
                    }
                    for currency, value in (("CNY", 2_469.12), ("KRW", 10_000), ("KWD", 14.25))
                ],
            }
        ],
    }
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(path) for path in RULES], "tests": [test]}))
    assert promtool("test", "rules", file) == ""


def anchors(page: Path) -> set[str]:
    """Of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_how_urgent_it_is_what_it_means_and_where_to_read_on(name: str) -> None:
    rule = alerts()[name]
    assert name.startswith("Pumasi")
    assert rule["labels"]["severity"] in ("critical", "warning")
    said = rule["annotations"]
    assert said.keys() == {"summary", "description", "runbook_url"}
    page, _, anchor = said["runbook_url"].partition("#")
    assert page == "deploy/OPERATING.md"
    assert anchor in anchors(DEPLOY / "OPERATING.md")
    assert said["description"].endswith(".")


def test_the_page_has_every_situation_and_names_no_alert_that_is_not_there() -> None:
    page = DEPLOY / "OPERATING.md"
    assert anchors(page) >= SITUATIONS
    assert {*re.findall(r"\bPumasi[A-Z]\w+", page.read_text())} <= {*alerts()}


def known() -> set[str]:
    """Every series that services give, that a rule makes, or that Prometheus has of its own."""
    ours = {
        series
        for one in metrics.TABLE
        for series in (
            [f"{one.name}_{part}" for part in ("bucket", "sum", "count")] if one.kind == "histogram" else [one.name]
        )
    }
    return ours | set(recorded()) | OF_PROMETHEUS | OF_THE_LIBRARY


def test_rules_and_dashboards_name_series_that_there_are() -> None:
    exprs = [rule["expr"] for group in groups() for rule in group["rules"]] + [expr for _, expr in asked()]
    named = set().union(*map(series_in, exprs))
    assert named - known() == set()
    assert {"pumasi_ready", "pumasi:money_major_units:sum", "pumasi_publish_seconds_bucket"} <= named, "names are found"


LABELS = {one.name: set(one.labels) for one in metrics.TABLE}


def test_rules_and_dashboards_name_labels_that_a_series_has_and_values_that_it_can_have() -> None:
    exprs = [rule["expr"] for group in groups() for rule in group["rules"]] + [expr for _, expr in asked()]
    for expr in exprs:
        for name, chosen in re.findall(r"(pumasi_\w+)\{([^}]*)\}", expr):
            one = next(one for one in metrics.TABLE if one.name == re.sub(r"_(bucket|sum|count)$", "", name))
            for label, how, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', chosen):
                assert label in one.labels, (name, label)
                if values := one.labels[label]:
                    assert {value} <= set(values) if how in ("=", "!=") else set(value.split("|")) <= set(values), (
                        name,
                        value,
                    )


@needs_prometheus
def test_prometheus_can_read_every_query_of_the_dashboards(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": expr} for number, (_, expr) in enumerate(asked())]
    file = tmp_path / "panels.rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert promtool("check", "rules", file) == ""
    file.write_text(file.read_text().replace("sum by", "sum bye", 1))
    assert "unexpected" in promtool("check", "rules", file), "it reads them"


@pytest.mark.parametrize("name", dashboards())
def test_a_dashboard_says_in_plain_words_what_it_shows_and_has_a_place_for_it(name: str) -> None:
    board = dashboards()[name]
    variables: list[dict[str, Any]] = board["templating"]["list"]
    assert [variable["name"] for variable in variables] == ["datasource", "currency"]
    assert board["uid"] == name
    taken: set[tuple[int, int]] = set()
    for panel in panels(board):
        assert "id" not in panel
        assert panel["title"] and "_" not in panel["title"], "no metric's name"
        assert panel["description"].endswith(".")
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["fieldConfig"]["defaults"]["unit"]
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken and max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
    assert len({panel["title"] for panel in panels(board)}) == len(panels(board))


def test_compose_shows_prometheus_the_services_and_grafana_the_dashboards() -> None:
    """Where each looks is where the other is; names of jobs are those of the rules."""
    told = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    assert {path for pattern in told["rule_files"] for path in (DEPLOY / "prometheus").glob(pattern)} == set(RULES)
    looked = {job["job_name"]: [*job["dns_sd_configs"]] for job in told["scrape_configs"]}
    assert looked.keys() == {f"pumasi-{name}" for name in metrics.SERVICES}
    for job, [where] in looked.items():
        assert (where["names"], where["port"]) == ([job.removeprefix("pumasi-")], generate.HEALTH_PORT)
        assert compose()[where["names"][0]]["environment"]["PUMASI_HEALTH_HOST"] == "0.0.0.0"
    image = (DEPLOY / "Containerfile").read_text()
    assert f"PUMASI_HEALTH_PORT={generate.HEALTH_PORT}" in image
    mounts = dict(mount.split(":")[1::-1] for name in ("prometheus", "grafana") for mount in compose()[name]["volumes"])
    assert all((COMPOSE / mount).exists() for mount in mounts.values() if mount.startswith("."))
    [source] = yaml.safe_load((COMPOSE / "grafana/datasource.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    [provider] = yaml.safe_load((COMPOSE / "grafana/dashboards.yaml").read_text())["providers"]
    assert (COMPOSE / mounts[provider["options"]["path"]]).resolve() == DEPLOY / "grafana"
    home = compose()["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (DEPLOY / "grafana" / Path(home).name).exists()


@needs_prometheus
def test_prometheus_takes_its_configuration() -> None:
    assert promtool("check", "config", DEPLOY / "prometheus/prometheus.yml") == ""
