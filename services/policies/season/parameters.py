"""The parameters of a season, each with the story or fact it is fitted to; what no source gives is called an assumption.

The five stories (`services/stories/files`, from news reports on North Korean refugees in China) give sums, delays and shares; they are
few and coarse, so a season is plausible, not a forecast. What may well be otherwise elsewhere is an option of `pumasi simulate`.
Money is in minor units of the funds' currency (CNY), durations are in the unit their name says.
"""

from dataclasses import dataclass

CURRENCY = "CNY"


@dataclass(frozen=True)
class NeedKind:
    """One kind of need.

    Attributes:
        weight: how often, against the other kinds.
        median: the goal's median, minor units.
        routes: by which ways the care is had, all alike often.
        priorities: weights of routine, urgent, asap, stat.
        deadlines: part of the cases with a `needed_by`.
        recurring: part of the cases that come again every month.
    """

    weight: float
    median: int
    routes: tuple[str, ...]
    priorities: tuple[float, float, float, float]
    deadlines: float = 0.1
    recurring: float = 0.0


NEEDS: dict[str, NeedKind] = {
    # Stories 4 and 5: CNY 180–260 for a dose in winter, CNY 300–750 for one in five provinces; mostly with a day by which.
    "vaccine": NeedKind(25, 300_00, ("clinic", "go-between", "general-hospital"), (21, 15, 9, 0), deadlines=0.5),
    # Stories 4 and 5: CNY 60–120, CNY 150–300.
    "test": NeedKind(20, 130_00, ("clinic", "go-between"), (12, 12, 1, 0), deadlines=0.5),
    # Story 5: CNY 500–1,200; story 2: CNY 900.
    "consultation": NeedKind(12, 750_00, ("clinic", "general-hospital"), (5, 3, 4, 0)),
    # Story 2: CNY 1,200 a month for tuberculosis; story 4: CNY 40–60 for a cold, once. The median lies between.
    "medication": NeedKind(14, 400_00, ("pharmacy", "home"), (2, 6, 2, 0), recurring=0.3),
    # Story 2: CNY 1,500–1,800, routine both times.
    "psychosocial": NeedKind(8, 1_600_00, ("home",), (9, 1, 0, 0)),
    # Story 1: CNY 10,000 for a cancer, asap.
    "treatment": NeedKind(9, 8_000_00, ("home", "charity-hospital", "general-hospital"), (1, 3, 5, 1)),
    # Story 2: CNY 5,000, stat, within six days.
    "admission": NeedKind(6, 5_000_00, ("go-between", "general-hospital"), (0, 1, 2, 3), deadlines=0.6),
    # Story 3: CNY 3,000 on the cheap road, CNY 12,000 on the dear one; the median lies between.
    "surgery": NeedKind(6, 6_000_00, ("charity-hospital", "general-hospital"), (1, 3, 2, 1)),
}
"""What people ask for. Weights: tests and vaccines are the many small needs of stories 4 and 5, the rest of stories 1 to 3 the few
dear ones; the proportion between the two is an assumption. Priorities are counted from the stories where they have cases enough."""


@dataclass(frozen=True)
class Foreign:
    """A currency in which some give: `rate` in major units at the start, and the part of all pledges."""

    rate: float
    part: float


FOREIGN: dict[str, Foreign] = {"KRW": Foreign(0.0054, 0.10), "USD": Foreign(7.14, 0.10)}
"""Story 1: of 41 pledges four in won, at 0.0054, and four in dollars, at 7.14."""


@dataclass(frozen=True)
class Season:
    """All that a season is drawn from. The first six are options of the command."""

    seed: int = 1
    """Everything random follows from it."""
    days: int = 90
    """How long it is; what is unfinished then is counted as unfinished. An assumption: a winter, as in story 4."""
    funds: int = 1
    """Communities, each with a fund of its own, matched apart: story 5 has two."""
    cases_a_day: float = 4.0
    """New cases a day in each fund. Story 5's larger community had 55 in two weeks: four a day."""
    generosity: float = 0.7
    """Money pledged, as a part of the money asked. Stories: 1 all, 2 nine tenths, 3 a third, 4 all but a tenth, 5 eight tenths."""
    fails: float = 0.05
    """Part of payments that fail. Story 4: one of 25; story 2's donors all paid."""
    neglect: float = 1.0
    """How many times as likely an immediate or asap case dies while its claim is not wholly promised. At 1 nobody's death depends on
    money: deaths are then the same under every policy, and no policy gains or loses by an assumption made here. Stories 1 and 4 say
    that people die for want of care, none says how much more often; so more than 1 is for the user to assume."""

    start: str = "2026-11-22T00:00:00Z"
    """When it starts: late November, as story 1."""
    tick_hours: int = 1
    """How often the clock ticks, so how late a timer may fire. Coarser than in service, where it is a minute."""

    # ---- who asks
    rhythm: float = 0.8
    """Swing of the day about its mean, for all that people do by themselves: an assumption; at night little happens."""
    peak_hour: float = 13.0
    """When most happens, hours UTC: nine in the evening in China. Story 4: vouched for in the evening, all of them."""
    clusters: float = 0.04
    """Part of arrivals that are many at once: in story 4 a go-between sends in thirty small needs in a day."""
    cluster_size: float = 10.0
    """Mean number of cases in such an arrival (geometric). An assumption, below story 4's thirty."""
    goal_sigma: float = 0.5
    """Spread of goals below their ninth tenth (lognormal). Story 4's tests and doses, story 3's roads: half to twice the median."""
    goal_tail: float = 1.5
    """Exponent of the Pareto tail above it. An assumption: hospital bills are heavy-tailed, no story gives a figure."""
    goal_cap: float = 30.0
    """No goal above so many medians: a room would not take it on. An assumption."""
    known_people: float = 0.2
    """Part of cases of somebody who has one already. Story 2: one woman has three of four cases; most others have one."""
    own_contributions: float = 0.3
    """Part of cases with an own contribution. Story 3: one of three; story 5: 31 of 55; stories 1, 2, 4: none."""
    voucher_hours: float = 2.0
    """Median hours until a voucher speaks. Stories 1 to 3: a quarter to a full hour; story 4: by evening."""
    voucher_sigma: float = 1.0
    """Spread of that (lognormal). An assumption."""
    second_vouchers: float = 0.5
    """Chance of each further voucher after the first. An assumption: it matters only where a policy asks for more than one."""
    never_vouched: float = 0.02
    """Part of cases for which nobody vouches. An assumption; the stories tell only of those that were."""
    deadline_days: float = 8.0
    """Median days until `needed_by`. Story 4: 3 to 20; story 2: 6."""
    deadline_sigma: float = 0.6
    """Spread of that (lognormal): covers story 4's 3 to 20."""
    given_up_late: float = 0.6
    """Chance that a case still not whole is given up once its deadline has passed. Story 2: the admission that found no bed."""
    withdrawn: float = 0.03
    """Part of cases withdrawn for other reasons, at a random time. Story 2: one of five."""
    withdrawn_days: float = 12.0
    """Mean days until then (exponential). Story 2: five; an assumption beyond."""
    price_rises: float = 0.5
    """Part of recurring cases whose goal is raised once in each period. Story 2: the price of the medicine kept rising."""
    price_rise: float = 1.2
    """By how much. Story 2: CNY 1,200, 1,450, 1,700."""
    deaths_a_day: tuple[float, float, float, float] = (0.0005, 0.001, 0.004, 0.012)
    """Chance of death a day while routine, urgent, asap, immediate. Story 4: one of thirty within two days; the rest are assumed."""

    # ---- who gives
    pledge_median: int = 100_00
    """Median pledge. Story 1: CNY 50 to 1,000 from a room of ordinary people, CNY 100 the commonest sum named."""
    pledge_sigma: float = 1.0
    """Spread of pledges (lognormal): nine in ten between CNY 20 and 520, a few of CNY 1,000 as in story 1."""
    appeals: float = 0.7
    """Part of the money that comes since a case was told of; the rest comes steadily. Story 1 is all appeal; story 2 nearly none."""
    appeal_cap: int = 20_000_00
    """An appeal brings money in proportion to its claim up to here. Story 1's room reached CNY 10,000; twice that is an assumption."""
    appeal_hours: float = 14.0
    """Mean hours between an appeal and a pledge it brings: story 1's forty came within 36, half of them in the first 24."""
    echo: float = 0.4
    """Pledges that each pledge brings, on average (self-exciting). Story 1: friends of friends, people who did not know her."""
    echo_hours: float = 5.0
    """Mean hours until they come. An assumption, well within story 1's day and a half."""
    uneven_funds: float = 0.35
    """Spread of generosity between funds (lognormal). Story 5: the one community covered all it asked, the other eight tenths."""
    designated: float = 0.1
    """Part of pledges for a kind of need: 14 of the stories' 136. Those of an appeal name its case half the time."""
    hold: float = 0.2
    """Part of designated pledges held rather than given to the pool. Stories 2 and 4: four of fourteen."""
    release: float = 0.1
    """Part of designated pledges released where they can't be placed. Story 4: one of six."""
    recurring_pledges: float = 0.03
    """Part of pledges that come every month: story 2's four of the stories' 136."""
    expiring: float = 0.05
    """Part of pledges with an end. Story 4: two of 27, five days and one day after they were made."""
    expiry_days: float = 5.0
    """Mean days until that end (exponential, at least one)."""
    taken_back: float = 0.02
    """Part of pledges withdrawn: story 1's one of 41."""
    taken_back_days: float = 2.0
    """Mean days until then (exponential). Story 1: within two hours; an assumption beyond."""
    pays_days: float = 1.2
    """Median days from the first match (donors are asked to pay then) to the payment. Story 1: over the three days after."""
    pays_sigma: float = 0.8
    """Spread of that (lognormal). Story 1: from four hours to three days."""
    rate_walk: float = 0.004
    """Daily spread of exchange rates (lognormal). Story 2: the won went from 0.0053 to 0.0054 in a month."""

    # ---- what is done with money
    hands_over: float = 0.4
    """A go-between hands over once this part of the claim lies ready. Stories 1 and 2: 4,000 of 10,000, 2,500 of 5,000."""
    hands_over_days: float = 0.8
    """Median days until that is done. Story 2: the next day."""
    hands_over_at_last_days: float = 7.0
    """What lies ready longer than this is handed over even if it is less. Story 3: all that was paid was handed over."""
    closes_days: float = 1.0
    """Median days from the last delivery to the closing. Story 1: eight hours."""
