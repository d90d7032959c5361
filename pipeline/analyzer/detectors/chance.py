"""How unlikely a count is by chance: exact tails, up to a bound that is close; pure.

Each is -ln of the chance of so many or more, in nats. The sum of a tail is at most its
first term over what is left of one by the ratio of the first two, since ratios fall:
two to three nats more than Chernoff's bound has, which is a fifth fewer entries.
"""

from __future__ import annotations

from math import lgamma, log, log1p


def surprise(count: float, expected: float, spread: float) -> float:
    """Of a count where so many are expected.

    Counts are Poisson with a rate that itself varies by `spread` (its standard
    deviation over its mean): a negative binomial.
    """
    if count <= expected:
        return 0.0
    if spread <= 0:
        first = expected + lgamma(count + 1) - count * log(expected)
        return max(0.0, first + log1p(-expected / (count + 1)))
    shape = 1 / spread**2
    share = expected / (expected + shape)
    ratio = share * max(1.0, (count + shape) / (count + 1))
    ways = lgamma(count + shape) - lgamma(count + 1) - lgamma(shape)
    first = -ways - count * log(share) - shape * log1p(-share)
    return max(0.0, first + log1p(-min(ratio, 1 - 1e-9)))


def surprise_of_hits(hits: int, count: int, share: float) -> float:
    """Of so many hits among a count of which each is one by this share."""
    if hits <= share * count or share <= 0:
        return 0.0 if share > 0 or not hits else float("inf")
    misses = count - hits
    ratio = misses / (hits + 1) * share / (1 - share)
    ways = lgamma(count + 1) - lgamma(hits + 1) - lgamma(misses + 1)
    first = -ways - hits * log(share) - misses * log1p(-share)
    return max(0.0, first + log1p(-min(ratio, 1 - 1e-9)))


def seldom(looks: int, count: float, expected: float) -> float:
    """How much seldomer than at each look a window of so many is another one, in nats.

    A scan by windows of w looks exceeds a count n of which m are usual about
    n (1 - m / n)^2 / w times a look (Alm 1983), however often it is looked at.
    """
    clumps = max(1.0, (count - expected) ** 2 / count)
    return max(0.0, log(looks / clumps))
