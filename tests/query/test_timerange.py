"""Times of a question, as people and programs write them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.entry import format_timestamp, parse_timestamp
from pipeline.errors import QueryError
from pipeline.query.requests import FieldError
from pipeline.query.timerange import Moment, resolve_moment, resolve_window

NOW = parse_timestamp("2026-11-22T10:00:00Z", 0)
HOUR = 3600 * 10**9


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("30s", "2026-11-22T09:59:30"),
        ("5m", "2026-11-22T09:55:00"),
        ("1h", "2026-11-22T09:00:00"),
        ("1h30m", "2026-11-22T08:30:00"),
        ("2d", "2026-11-20T10:00:00"),
        ("1w", "2026-11-15T10:00:00"),
        ("-1h", "2026-11-22T09:00:00"),
        ("now", "2026-11-22T10:00:00"),
        ("NOW - 1h", "2026-11-22T09:00:00"),
        ("now-1h", "2026-11-22T09:00:00"),
        ("now+5m", "2026-11-22T10:05:00"),
        ("2026-11-22", "2026-11-22T00:00:00"),
        ("2026-11-22T09:00:00", "2026-11-22T09:00:00"),
        ("2026-11-22T09:00:00+02:00", "2026-11-22T07:00:00"),
        (1764000000, "2025-11-24T16:00:00"),
        (1764000000.0, "2025-11-24T16:00:00"),
        ("1764000000", "2025-11-24T16:00:00"),
        (1764000000000, "2025-11-24T16:00:00"),
        (1764000000000000, "2025-11-24T16:00:00"),
        (1764000000000000000, "2025-11-24T16:00:00"),
        ("999999999999w", "1677-09-21T00:12:43"),
    ],
)
def test_moments(written: Moment, moment: str) -> None:
    """Ages, moments beside now, ISO 8601 and numbers of any unit are understood."""
    assert format_timestamp(resolve_moment("since", written, NOW))[:19] == moment


@pytest.mark.parametrize(
    ("since", "until", "timerange", "window"),
    [
        (None, None, None, (None, None)),
        ("1h", None, None, (NOW - HOUR, None)),
        (None, "1h", None, (None, NOW - HOUR)),
        ("2h", "1h", None, (NOW - 2 * HOUR, NOW - HOUR)),
        ("1h", "1h", None, (NOW - HOUR, NOW - HOUR)),
        (None, None, "1h", (NOW - HOUR, NOW + 1)),
        (None, None, "2h/now", (NOW - 2 * HOUR, NOW)),
        (None, None, "2026-11-22T09:00:00Z/", (NOW - HOUR, None)),
        (None, None, "/2026-11-22T09:00:00Z", (None, NOW - HOUR)),
    ],
)
def test_windows(
    since: Moment | None,
    until: Moment | None,
    timerange: str | None,
    window: tuple[int | None, int | None],
) -> None:
    """The first bound is inside, the second is not; a missing one bounds nothing."""
    assert resolve_window(since, until, timerange, NOW) == window


@pytest.mark.parametrize(
    ("since", "until", "timerange", "field"),
    [
        ("soon", None, None, "since"),
        ("1M", None, None, "since"),
        (None, "", None, "until"),
        (None, float("nan"), None, "until"),
        ("now-soon", None, None, "since"),
        ("2026-02-30", None, None, "since"),
        ("1h", "2h", None, "since"),
        (None, None, "soon", "timerange"),
        (None, None, "", "timerange"),
        (None, None, "1h/soon", "timerange"),
        (None, None, "now/2h", "timerange"),
        ("1h", None, "1h", "timerange"),
        (None, "1h", "1h", "timerange"),
    ],
)
def test_errors_name_the_parameter(
    since: Moment | None, until: Moment | None, timerange: str | None, field: str
) -> None:
    """A wrong time is a QueryError with the parameter and what would be right."""
    with pytest.raises(FieldError) as caught:
        resolve_window(since, until, timerange, NOW)

    assert isinstance(caught.value, QueryError)
    assert caught.value.field == field
    assert caught.value.hint


@given(st.text() | st.integers() | st.floats())
def test_any_value_is_a_time_or_an_error(value: Moment) -> None:
    """Nothing else is raised, and every moment is within int64."""
    try:
        moment = resolve_moment("since", value, NOW)
    except FieldError:
        return
    assert -(1 << 63) <= moment < 1 << 63


def test_it_loads_no_numpy() -> None:
    """The gateway imports it, and has no room for numpy."""
    program = "import sys, pipeline.query.timerange; sys.exit('numpy' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
