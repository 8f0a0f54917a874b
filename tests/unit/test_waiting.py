"""What tests lean on says what went wrong, and doesn't hide it."""

from functools import partial

import pytest

from tests import waiting


async def test_what_did_not_come_in_time_is_named_whatever_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "WITHIN_S", 0.01)
    for holds, named in ((partial(int, "0"), "functools.partial"), (lambda: False, "lambda: False")):
        with pytest.raises(TimeoutError, match=named):
            await waiting.until(holds)
