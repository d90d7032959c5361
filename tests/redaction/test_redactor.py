"""Rows and columns lose their secrets, and nothing else."""

from __future__ import annotations

import enum
import string
from http import HTTPStatus

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batch.decode import parse
from pipeline.batch.encode import encode_rows
from pipeline.entry import Entry
from pipeline.redaction import DEFAULT, MASK, Redactor, Rules

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjMifQ.abc-_123"
SECRETS = (
    "password=hunter2",
    'token" : "abc',
    "PASSWD : x1",
    '{\\"api_key\\": \\"k\\"}',
    "Access-Key=k",
    "authorization: Basic dXNlcjpwYXNz",
    "Cookie: sid=1; theme=dark",
    "Bearer abcdefghijklmnop",
    "bearer\tabcdefghijklmnop",
    TOKEN,
    "AKIAABCDEFGHIJKLMNOP",
    "ghp_" + "a1" * 18,
    "sk-" + "x" * 20,
    "postgres://app:s3cret@db/x",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    "4111111111111111",
    "4111 1111 1111 1111",
    "3782-822463-10005",
)
CLEAN = (
    "GET /api/v2/orders/491057 200 52.517ms 208B",
    "3e98096b-5706-4373-a022-bc9c36c76204",
    "tokens: 512, author=ann, monkey: 1",
    "card 4111 1111 1111 1112",
)


def entry(message: str = "m", metadata: dict | None = None, tags=()) -> Entry:
    return Entry(1, "web", 9, message, metadata or {}, list(tags), None)


def stored(rows: list[Entry], redactor: Redactor | None) -> list[Entry]:
    """What the other side reads of a batch."""
    batch = parse(encode_rows(rows, redactor=redactor))
    return batch.entries(np.arange(batch.rows))


@pytest.mark.parametrize("secret", SECRETS)
def test_one_secret_among_thousands_is_found(secret):
    """A look at all texts of a column at once misses nothing that one at each finds."""
    rows = [entry(CLEAN[number % len(CLEAN)]) for number in range(500)]
    rows[250] = entry(f"before {secret} after")
    redactor = Redactor(DEFAULT)

    found = stored(rows, redactor)

    assert found[250].message == DEFAULT.masked(f"before {secret} after")
    assert MASK in found[250].message
    assert found[:250] + found[251:] == stored(rows[:250] + rows[251:], None)
    assert redactor.counts.total() == 1


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_found_wherever_a_text_is(secret):
    """In a column, a dictionary, a list, a map, a tag, an object's own text."""

    class Odd:
        def __str__(self) -> str:
            return secret

    metadata = {
        "plain": secret,
        "list": [1, secret],
        "map": {"a": {"b": secret}},
        "odd": Odd(),
        "mixed": secret,
    }
    rows = [entry("m", {**metadata, "mixed": place or secret}) for place in range(3)]
    rows += [entry(tags=[secret])]

    text = repr(stored(rows, Redactor(DEFAULT)))

    assert secret not in text
    assert repr(secret)[1:-1] not in text


def test_telling_keys_are_masked_whatever_their_value_is():
    """At any depth and in any writing; null tells nothing."""
    given = {
        "DB_PASSWORD": 42,
        "x-api-key": ["a"],
        "http.request.header.Cookie": {"a": 1},
        "auth": None,
        "deep": [{"refreshToken": True, "tokens": 3}],
    }
    redactor = Redactor(DEFAULT)

    (found,) = stored([entry("m", given)], redactor)

    assert found.metadata == {
        "DB_PASSWORD": MASK,
        "x-api-key": MASK,
        "http.request.header.Cookie": MASK,
        "auth": None,
        "deep": [{"refreshToken": MASK, "tokens": 3}],
    }
    assert redactor.counts == {"password": 1, "apikey": 1, "cookie": 1, "token": 1}


def test_numbers_and_texts_of_enumerations_stay_what_they_are():
    """As `http.HTTPStatus` and what one makes of `str` are."""

    class Kind(str, enum.Enum):  # noqa: UP042 - those of older programs
        LOGIN = "login"

    given = {"status": HTTPStatus.NOT_FOUND, "kind": Kind.LOGIN}

    (found,) = stored([entry("m", given)], Redactor(DEFAULT))

    assert found.metadata == {"status": 404, "kind": "login"}


def test_what_is_masked_already_stays_and_is_not_counted():
    """A gateway behind a collector counts nothing twice."""
    rows = [entry(f"see {secret}", {"password": "x"}) for secret in SECRETS]
    once = stored(rows, Redactor(DEFAULT))
    redactor = Redactor(DEFAULT)

    assert stored(once, redactor) == once
    assert redactor.counts == {}


def test_rows_and_columns_are_masked_alike():
    """A row that is spooled by its call is the one that a batch would have."""
    rows = [
        entry(f"x {secret}", {"a": secret, "jwt": 1, "l": [secret]}, [secret])
        for secret in (*SECRETS, *CLEAN)
    ]
    redactor = Redactor(DEFAULT)

    assert [Entry(*redactor.row(row)) for row in rows] == stored(rows, redactor)


def test_a_dictionary_has_each_masked_value_once():
    """Two secrets that become the same mask are one value of the column."""
    keys = ["password=a", "password=b", "c"] * 30
    redactor = Redactor(DEFAULT)

    found = stored([entry("m", {"k": key}) for key in keys], redactor)

    values = [row.metadata["k"] for row in found]
    assert values == [f"password={MASK}", f"password={MASK}", "c"] * 30
    assert redactor.counts == {"assignment": 60}


def test_rules_of_ones_own_and_exceptions():
    """Keys, endings and forms are added; fields and rules are excepted."""
    rules = Rules(["iban", "*pin"], (), ["csrf-token", "order"], ["card"])
    given = {"IBAN": "x", "card_pin": 1, "csrfToken": "a", "order": "password=a"}

    (found,) = stored([entry("4111111111111111", given)], Redactor(rules))

    assert found.message == "4111111111111111"
    assert found.metadata == {
        "IBAN": MASK,
        "card_pin": MASK,
        "csrfToken": "a",
        "order": "password=a",
    }


def test_masks_never_make_an_entry_too_large():
    """A mask is longer than what it hides."""
    message = "token=a " * 131_000
    (found,) = stored([entry(message)], Redactor(DEFAULT))

    assert "token=a" not in found.message
    assert len(found.message) <= len(message)


PIECES = st.sampled_from(
    [*SECRETS, *CLEAN, " ", '"', "=", ": ", "-", "token", "4", "é"]
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.lists(PIECES, max_size=5).map("".join),
            st.text(string.printable, max_size=40),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_a_look_at_all_sees_what_a_look_at_each_sees(messages):
    """Whatever they are made of: the cheap search may be too careful, never too lax."""
    found = Redactor(DEFAULT).texts(messages)

    assert list(found) == [DEFAULT.masked(message) for message in messages]
