"""Chance by name: each thing that is drawn has a stream of its own, named by what it is for.

`stream(seed, "f-1", "payment", "p-7")` gives the same numbers whatever was drawn before and in whatever order people act. That is what
lets two policies be compared under common random numbers: if under one of them `p-7` is paid, it is paid after the same delay under
the other.

Distributions are drawn by inverting them at one uniform number, so a larger number always means a larger value, and a stream gives
the same on every Python.
"""

from math import exp, log
from random import Random
from statistics import NormalDist

_NORMAL = NormalDist()
_TINY = 1e-12


def stream(seed: int, *name: object) -> Random:
    """The random numbers of one thing."""
    return Random("/".join(map(str, (seed, *name))))  # noqa: S311  # a season, not a secret


def lognormal(r: Random, median: float, sigma: float) -> float:
    """A lognormal number, by its median."""
    return median * exp(sigma * _NORMAL.inv_cdf(max(_TINY, r.random())))


def exponential(r: Random, mean: float) -> float:
    """An exponential number, by its mean."""
    return -mean * log(1 - r.random())


def heavy(r: Random, median: float, sigma: float, tail: float, cap: float) -> float:
    """Lognormal up to its ninth tenth, Pareto with exponent `tail` above, never more than `cap` times the median."""
    u = r.random()
    body = min(u, 0.9)
    value = median * exp(sigma * _NORMAL.inv_cdf(max(_TINY, body)))
    if u > body:
        value *= ((1 - u) / (1 - body)) ** (-1 / tail)
    return min(value, cap * median)


def poisson(r: Random, mean: float) -> int:
    """A Poisson number: how many exponential steps fit."""
    count, reached = -1, 0.0
    while reached <= mean:
        reached += exponential(r, 1.0)
        count += 1
    return count


_STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 10.0)


def spoken(amount: float, least: int) -> int:
    """The sum somebody would name: one of 1, 1.5, 2, 3, 5, 8 times a power of ten, the nearest, at least `least`.

    >>> spoken(183, 10), spoken(37_037, 1000), spoken(0.4, 10)
    (200, 30000, 10)
    """
    if amount <= least:
        return least
    power: int = 10 ** (len(str(int(amount))) - 1)
    return round(min(_STEPS, key=lambda step: abs(log(amount / (step * power)))) * power)
