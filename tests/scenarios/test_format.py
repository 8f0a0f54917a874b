"""The stories' format is strict, and says where a story is wrong."""

import pytest

from services.errors import ScenarioInvalid
from services.stories.scenario import load_stories, parse_story

HEAD = """\
story    small
title    A small one
shows    What a story
shows    shows.
starts   2021-11-24T10:00Z
fund     room currency=CNY share=CNY100
expect   room asked=CNY100 promised=CNY0 placed=CNY0 settled=CNY0 delivered=CNY0 released=CNY0 waiting=CNY0 notices=0

when      | door  | fund | event          | what
"""
ROW = "+0d 00:05 | http  | room | case.submitted | case=a beneficiary=p need=test route=clinic goal=CNY100.50 priority=asap\n"


def test_a_row_becomes_an_event_of_the_contract() -> None:
    story = parse_story(HEAD + "> It begins.\n" + ROW)
    opening, row = story.rows
    assert (opening.type, opening.data["share"]) == ("pumasi.fund.configured", 10_000)
    assert (row.at - story.starts, row.door, row.type, row.id) == (
        300_000_000,
        "http",
        "pumasi.case.submitted",
        "small.0002",
    )
    assert row.data["goal"] == 10_050
    assert row.told == ("It begins.",)
    assert story.shows == "What a story shows."


def test_values_are_written_as_people_write_them() -> None:
    rows = (
        "+0d 00:06 | topic | room | pledge.made | pledge=p donor=d amount=KRW30,000 designation=need:test fallback=hold "
        "expires_at=+2d01:00 recurrence=P1Mx6\n"
        "+0d 00:07 | http | room | payment.received | pledge=p#2 payment=y amount=KRW30,000\n"
    )
    pledge, payment = parse_story(HEAD + ROW + rows).rows[2:]
    assert pledge.data == {
        "fund": "room", "pledge": "p", "donor": "d", "amount": 30_000, "currency": "KRW", "designation": {"need": "test"},
        "fallback": "hold", "expires_at": "2021-11-26T11:00:00Z", "recurrence": {"every": "P1M", "times": 6},
    }  # fmt: skip
    assert payment.data["amount"] == 30_000


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("+0d 00:05 | door | room | case.submitted | case=a", "story:10: 'door' is no door"),
        ("+0d 00:05 | http | hall | case.submitted | case=a", "story:10: no fund 'hall'"),
        ("+0d 00:05 | http | room | case.dreamt | case=a", "story:10: 'case.dreamt' is no event"),
        ("tomorrow | http | room | case.vouched | case=a voucher=v", "story:10: 'tomorrow' is no time"),
        ("+0d 25:00 | http | room | case.vouched | case=a voucher=v", "story:10: '.0d 25:00' is no time"),
        ("+0d 00:05 | http | room | case.vouched", "story:10: 4 cells, not 5"),
        ("+0d 00:05 | http | room | case.vouched | case=a", "story:10: case.vouched: voucher: Field required"),
        ("+0d 00:05 | http | room | case.vouched | case=a voucher=v name=x", "story:10: case.vouched: name: is no field of this event"),
        ("+0d 00:05 | http | room | case.vouched | case=a case=b", "story:10: 'case=b' is not name=value, or stands twice"),
        ("+0d 00:05 | http | room | case.amended | case=a goal=10", "story:10: '10' is no amount"),
        ("+0d 00:05 | http | room | case.amended | case=a goal=KRW10", "story:10: KRW10: fund room is in CNY"),
        ("+0d 00:05 | http | room | case.amended | case=a goal=CNY1,00", "story:10: 'CNY1,00' is no amount"),
        ("+0d 00:05 | http | room | pledge.made | pledge=p donor=d amount=KRW1.50", "KRW has 0 digits"),
        (
            "+0d 00:05 | http | room | pledge.made | pledge=p donor=d amount=KRW100\n"
            "+0d 00:06 | http | room | payment.received | pledge=p payment=y amount=CNY100",
            "story:11: amount=CNY100: must be in KRW",
        ),
        (
            "+0d 00:05 | http | room | case.vouched | case=a voucher=v\n"
            "+0d 00:04 | http | room | case.vouched | case=a voucher=w",
            "story:11: .0d 00:04 is before the row above",
        ),
    ],
)  # fmt: skip
def test_a_wrong_row_is_told_with_its_line(row: str, complaint: str) -> None:
    with pytest.raises(ScenarioInvalid, match=complaint):
        parse_story(HEAD + row + "\n")


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (HEAD.replace("title    A small one\n", ""), "no line `title`"),
        (HEAD.replace("expect ", "expects"), "story:7: 'expects' can't stand here"),
        (HEAD.replace(" notices=0", ""), "story:7: one line for a fund"),
        (HEAD.replace("10:00Z", "noon"), "story:5: .* is no time such as"),
        (HEAD.replace("currency=CNY", "currency=XXX"), "story:6: .*"),
        (HEAD.replace("when ", "what "), "story:9: the table's head must be"),
    ],
)
def test_a_wrong_head_is_told_with_its_line(wrong: str, complaint: str) -> None:
    with pytest.raises(ScenarioInvalid, match=complaint):
        parse_story(wrong + ROW)


def test_a_story_nobody_wrote_is_told_with_those_there_are() -> None:
    with pytest.raises(ScenarioInvalid, match="no story is named moonshot") as told:
        load_stories(["moonshot"])
    assert "chat-room, tuberculosis, two-routes, no-papers, provinces" in told.value.hint
