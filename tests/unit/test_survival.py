"""How long until it happens, and how alike: worked out by hand."""

import pytest

from services.policies.inequality import gini, lorenz, mean_of_least
from services.policies.survival import Wait, incidence, quantile


def test_whoever_left_without_counts_as_never_and_whoever_still_waits_as_long_as_they_were_seen() -> None:
    waits = [Wait(1, "happened"), Wait(2, "never"), Wait(3, "happened"), Wait(4, "open")]
    # t=1: 1 of 4 at risk: F = 1/4, S = 3/4.  t=2: one of 3 leaves: S = 3/4 · 2/3 = 1/2.  t=3: 1 of 2: F = 1/4 + 1/2 · 1/2 = 1/2.
    assert incidence(waits) == [(1, pytest.approx(0.25)), (3, pytest.approx(0.5))]
    assert quantile(incidence(waits), 0.5) == 3
    assert quantile(incidence(waits), 0.9) is None


def test_to_drop_those_who_died_would_make_it_look_quicker() -> None:
    served = [Wait(1, "happened"), Wait(2, "happened")]
    died = [Wait(1, "never")] * 3
    assert quantile(incidence(served), 0.5) == 1
    assert quantile(incidence(served + died), 0.5) is None


def test_one_seen_only_for_a_moment_says_nothing_of_later() -> None:
    waits = [Wait(0.5, "open"), Wait(1, "happened"), Wait(2, "happened")]
    # At t=1 two are left at risk: F = 1/2, then 1.
    assert incidence(waits) == [(1, pytest.approx(0.5)), (2, pytest.approx(1.0))]


def test_what_happens_at_one_instant_is_at_risk_together() -> None:
    waits = [Wait(1, "happened"), Wait(5, "happened"), Wait(5, "never")]
    assert incidence(waits) == [(1, pytest.approx(1 / 3)), (5, pytest.approx(2 / 3))]


def test_thirds_add_up_to_a_whole() -> None:
    waits = [Wait(t, "happened") for t in range(1, 11)]
    assert quantile(incidence(waits), 0.9) == 9
    assert quantile(incidence(waits), 1.0) == 10


def test_nothing_waited_for_has_no_time() -> None:
    assert incidence([]) == []
    assert quantile([], 0.5) is None


def test_gini_by_hand() -> None:
    assert gini([]) is None
    assert gini([0, 0]) == 0
    assert gini([0.75, 1, 1]) == pytest.approx(0.5 / 8.25)  # (-2·0.75 + 0·1 + 2·1) / (3 · 2.75)
    assert gini([1, 3]) == pytest.approx(0.25)  # mean difference 1 (over all four pairs), half of it by the mean 2


def test_lorenz_by_hand() -> None:
    assert lorenz([3, 1]) == [(0, 0), (0.5, 0.25), (1, 1)]
    assert lorenz([0, 0]) == [(0, 0), (0.5, 0.5), (1, 1)]


def test_the_least_tenth_is_one_at_least() -> None:
    assert mean_of_least([], 0.1) is None
    assert mean_of_least([0.5, 0.2, 0.9], 0.1) == 0.2
    assert mean_of_least([n / 20 for n in range(20)], 0.1) == pytest.approx(0.025)
