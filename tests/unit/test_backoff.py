"""Pauses double up to a bound, begin anew with a success, and are spread where many would come back at once."""

from services.backoff import Backoff


def test_pauses_double_up_to_the_bound_and_begin_anew() -> None:
    backoff = Backoff(0.2, 1.0)
    assert [backoff.failed() for _ in range(5)] == [0.2, 0.4, 0.8, 1.0, 1.0]
    assert backoff.failures == 5
    backoff.succeeded()
    assert backoff.failed() == 0.2


def test_a_pause_has_bounds_for_this_once() -> None:
    backoff = Backoff(0.2, 10.0, failures=4)
    assert backoff.failed(most=0.5) == 0.5
    assert backoff.failed(at_least=30.0) == 30.0
    assert backoff.failed() == 10.0


def test_it_has_a_bound_after_any_number_of_failures() -> None:
    assert Backoff(0.1, 15.0, failures=10_000).failed() == 15.0


def test_a_spread_pause_lies_between_its_parts() -> None:
    pauses = {Backoff(4.0, 4.0, spread=(0.5, 1.0)).failed() for _ in range(100)}
    assert len(pauses) > 1
    assert all(2.0 <= pause <= 4.0 for pause in pauses)
