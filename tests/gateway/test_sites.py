"""Which names the gateway goes by, and whose pages may ask it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gateway.sites import Sites
from tests.end_to_end.running import Pipeline

SITES = Sites(["logs.example.org"], ["https://status.example.org/"])
STATUS = "https://status.example.org"
EVIL = "http://evil.example.com"


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.0.0.1:8888", "[::1]:8888", "10.1.2.3", "localhost"),
        *("LOCALHOST:1", "app.localhost", "logs.example.org", "Logs.Example.Org.:80"),
        None,
    ],
)
def test_a_name_of_its_own_is_known(host):
    """Addresses too: nobody makes them point elsewhere."""
    assert SITES.knows(host)


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example.com", "localhost.evil.com", "logs.example.org.evil.com", ""),
        *("127.0.0.1.evil.com", "a@127.0.0.1", "127.0.0.1/x", "localhost:x", ":80"),
        *("[::1", "[::1].evil.com", "2130706433", "0x7f.1"),
    ],
)
def test_a_name_that_may_point_anywhere_is_not(host):
    """However it is made to look like one that is."""
    assert not SITES.knows(host)


@given(st.text(max_size=30))
def test_any_text_is_judged(host):
    """Without an error."""
    assert SITES.knows(host) in (True, False)


@pytest.fixture(scope="module")
def pipeline():
    """A gateway that pages of one other site may ask."""
    running = Pipeline(gateway__origins=f'["{STATUS}"]')
    try:
        yield running.start("ingester", "gateway").wait_until_ready()
    finally:
        running.close()


CALL = b'{"jsonrpc": "2.0", "method": "get_limits", "id": 1}'
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", "/rpc"), ("GET", "/tail"), ("GET", "/export"), ("GET", "/ws")),
        *(("GET", "/metrics"), ("GET", "/health/ready"), ("GET", "/"), ("GET", "/x")),
    ],
)
def test_a_rebound_name_is_refused_everywhere(pipeline, method, path):
    """Whatever is asked."""
    status, headers, body = pipeline.request(
        method, path, CALL if method == "POST" else None, JSON | {"Host": "evil.com"}
    )

    assert status == 421
    assert b"gateway.hosts" in body
    assert "Access-Control-Allow-Origin" not in headers


def test_every_answer_has_the_headers(pipeline):
    """A page, an error, a stream, a refusal."""
    for path in ("/", "/nothing", "/health/live", "/export?format=ndjson"):
        _, headers, _ = pipeline.request("GET", path)

        assert headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


def test_a_page_that_may_ask_is_answered(pipeline):
    """It is told so beforehand, and may read the answer."""
    asked = {"Origin": STATUS, "Access-Control-Request-Method": "POST"}
    before, allowed, _ = pipeline.request("OPTIONS", "/rpc", None, asked)
    status, headers, _ = pipeline.request("POST", "/rpc", CALL, JSON | asked)

    assert (before, status) == (204, 200)
    assert "POST" in allowed["Access-Control-Allow-Methods"]
    assert "Content-Type" in allowed["Access-Control-Allow-Headers"]
    for answer in (allowed, headers):
        assert answer["Access-Control-Allow-Origin"] == STATUS
        assert answer["Vary"] == "Origin"


@pytest.mark.parametrize("path", ["/tail", "/export", "/ws"])
@pytest.mark.parametrize("sent", [{"Origin": EVIL}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_page_that_may_not_ask_takes_no_place(pipeline, path, sent):
    """Of those that streams have: it could not read them, but hold them open."""
    assert pipeline.request("GET", path, None, sent)[0] == 403


def test_a_page_that_may_not_ask_reads_nothing(pipeline):
    """Neither beforehand nor afterwards."""
    asked = {"Origin": EVIL, "Access-Control-Request-Method": "POST"}
    before, refused, _ = pipeline.request("OPTIONS", "/rpc", None, asked)
    _, headers, _ = pipeline.request("POST", "/rpc", CALL, JSON | asked)

    assert before == 403
    for answer in (refused, headers):
        assert "Access-Control-Allow-Origin" not in answer
