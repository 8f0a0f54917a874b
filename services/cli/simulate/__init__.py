"""`pumasi simulate`: what a policy would do, before anyone chooses it; and whether the engine does what the rule says.

The command and its help. `run` beside it does what is asked, and what is simulated, and how, lies in `services.policies`.
"""

from typing import Any

import typer

from services.cli.shared.helps import Command
from services.cli.simulate import options as o


class HELP(Command):
    """Reads rules and fields off the contract only when help is asked for: its models take a moment to load."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from services.policies.meaning import FIELDS, TOLD, field_line

        rules = "\n".join(f"- `{rule}`: {told.sentence}" for rule, told in TOLD.items())
        fields = "\n".join(f"- {field_line(field)}" for field in FIELDS if field != "rule")
        self.epilog = EXAMPLES.replace("{rules}", rules).replace("{fields}", fields)
        super().format_help(ctx, formatter)


EXAMPLES = """**Examples**

- `pumasi simulate`: a season of 90 days, under each rule
- `pumasi simulate --generosity 0.4 --policy urgency-waterfill/1 --policy first-come/1 --html r.html`: a lean season, with plots
- `pumasi simulate --fund jilin`: fund jilin's own commands, under each rule
- `pumasi simulate --fund jilin --change weights=claim --last 30`: what if its policy had been changed thirty days ago?

**The rules**

{rules}

All three keep this: splitting a pledge changes nothing, more money takes from nobody, a promise is never taken away for someone else.

**A policy's fields**

{fields}

**A log's file** holds one CloudEvent a line, as JSON, in the order in which the commands came:

`{"type": "pumasi.payment.received", "time": "2026-11-22T10:00:00Z", "id": "e-7", "partition": 0,
"data": {"fund": "jilin", "pledge": "p-1", "payment": "m-1", "amount": 10000}}`

`type`, `time` and `data` are required. `partition` (default 0) says which partition's clock a tick moves. `--save` writes such a file.
Keep it as confidential as the commands topic.
"""


def simulate(
    context: typer.Context,
    seed: o.Seed = 1,
    seeds: o.Seeds = None,
    days: o.Days = 90,
    funds: o.Funds = 1,
    cases: o.Cases = 4.0,
    generosity: o.Generosity = 0.7,
    defaults: o.Defaults = 0.05,
    neglect: o.Neglect = 1.0,
    log: o.Log = None,
    fund: o.Fund = None,
    kafka: o.Kafka = None,
    data: o.Data = None,
    policy: o.Policies = None,
    change: o.Change = None,
    since: o.Since = None,
    last: o.Last = None,
    html: o.Html = None,
    save: o.Save = None,
    as_json: o.Json = False,
    definitions: o.Definitions = False,
) -> None:
    """Compare policies on the same needs and the same money: who is funded, when, how evenly, and what lies idle.

    Plays a generated season (seeded; fitted to the demo's five stories), or a recorded log of commands from Kafka or a file. Each
    policy is a whole run of the real engine. In a season people react: donors pay when they are matched, go-betweens hand over what is
    paid. In a recorded log they do what they did. Nothing is ever written to Kafka.

    --change shows, case by case, what a change of policy would have altered in a recorded log.
    """
    from services.cli.simulate import run
    from services.policies.season.parameters import Season

    sources = {name: context.get_parameter_source(name) for name in context.params}
    mode = o.mode_of({name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"})
    asked = run.Asked(policy or [], html, save, as_json)
    asked.check_files()
    origin = run.Origin(log, fund or [], kafka, data)
    season = Season(seed, days, funds, cases, generosity, defaults, neglect)
    match mode:
        case "--definitions":
            run.define(as_json)
        case "--seeds":
            run.many_seasons(season, seeds or 2, asked)
        case "a generated season":
            run.one_season(season, asked)
        case "--change":
            run.one_change(origin, change or "", since, last, asked)
        case _:
            run.recorded(origin, asked)
