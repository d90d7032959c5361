"""What is learned of how long questions take."""

from __future__ import annotations

from pipeline.gateway.durations import LONG_SECONDS, Durations, shape_of
from pipeline.query.requests import QueryRequest, StatsRequest

LONG = 2 * LONG_SECONDS


def shape(q: str | None = None, limit: int = 100) -> object:
    return shape_of("query", QueryRequest(q=q, limit=limit))


def test_words_are_not_of_the_shape() -> None:
    """But what stands around them is, and so are method and other parameters."""
    assert shape("level:error timeout") == shape("level:warn refused")
    assert shape("timeout") != shape("*timeout*")
    assert shape("timeout") != shape("timeout", limit=10_000)
    assert shape() != shape("timeout")
    assert shape() != shape_of("get_stats", StatsRequest())


def test_how_far_back_is_of_the_shape() -> None:
    """A day takes longer than an hour."""
    hour, day = (shape_of("s", StatsRequest(timerange=span)) for span in ("1h", "1d"))

    assert hour != day


def test_a_new_shape_is_not_long() -> None:
    """One that was long once is."""
    durations = Durations()

    assert not durations.is_long("a")
    durations.learn("a", LONG)
    assert durations.is_long("a")
    assert not durations.is_long("b")


def test_one_of_many_makes_no_shape_long() -> None:
    """Two of the last eight do, until others have taken their place."""
    durations = Durations()
    for seconds in (0.0, LONG, 0.0, 0.0):
        durations.learn("a", seconds)
    assert not durations.is_long("a")
    durations.learn("a", LONG)
    assert durations.is_long("a")
    for _ in range(7):
        durations.learn("a", 0.0)
    assert not durations.is_long("a")


def test_shapes_not_asked_for_are_forgotten() -> None:
    """Those asked last are kept: the memory of the gateway is bounded."""
    durations = Durations()
    durations.learn("a", LONG)
    for number in range(600):
        durations.learn(number, LONG)

    assert not durations.is_long("a")
    assert durations.is_long(599)
