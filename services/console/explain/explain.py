"""Answers to "why there, why not me", from the ledger alone."""

from services.bus.consume.scan import Progress, TopicReader
from services.console.explain.missed import Missed
from services.console.explain.story import Story
from services.console.explain.telling import Teller, Told
from services.console.readmodel.model import Fund, ReadModel
from services.console.readmodel.reading import hold, read_ledger
from services.errors import UnknownId, UsageError


async def explain(
    bootstrap: str, kind: str, name: str, fund: str | None, language: str, progress: Progress | None = None
) -> Told:
    """Read the ledger and explain one case, pledge or award (`kind`), of one `fund` or, if that is None, of any.

    Raises:
        UnknownId: if there is none of that id.
        UsageError: if several funds have one.
        LedgerTampered: if the ledger does not hold.
        KafkaUnreachable: if no broker answers.
    """
    story = Story(kind, name, fund)
    model = ReadModel(story.watch)
    async with TopicReader(bootstrap) as reader:
        hold(await read_ledger(reader, model, fund, progress))
    return answer(model, story, language)


def answer(model: ReadModel, story: Story, language: str) -> Told:
    """The explanation, once the ledger has been read; raises UnknownId and UsageError as `explain` does."""
    story.finish()
    fund = _fund_of(model, story)
    teller, events = Teller(fund, language), story.events.get(fund.name, [])
    if story.kind == "case":
        return teller.case(fund.cases[story.name], events, story.missed.get(fund.name) or Missed(story.name))
    if story.kind == "pledge":
        return teller.pledge(fund.pledges[story.name], events, story.runs[fund.name].found)
    return teller.award(fund.awards[story.name], events, story.runs[fund.name].found[story.name])


def _fund_of(model: ReadModel, story: Story) -> Fund:
    looked = [fund for fund in model.funds.values() if story.fund in (None, fund.name)]
    found = [fund for fund in looked if story.name in getattr(fund, f"{story.kind}s")]
    if not found:
        where = f"fund {story.fund}" if story.fund else "any fund"
        raise UnknownId(
            f"there is no {story.kind} {story.name} in {where}",
            hint="Ids are case-sensitive. What was just sent shows once the matcher has answered it: see `pumasi status`.",
        )
    if len(found) > 1:
        funds = ", ".join(sorted(fund.name for fund in found))
        raise UsageError(
            f"there is a {story.kind} {story.name} in several funds: {funds}", hint="Name one with --fund."
        )
    return found[0]
