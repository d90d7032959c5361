"""Compressed lists: what is inflated, and how far."""

from __future__ import annotations

import base64
import gzip

import msgspec
import pytest
from msgspec import Raw

from pipeline.compression import compress
from pipeline.gateway.errors import RpcError
from pipeline.gateway.inflate import inflate


def text_of(packed):
    """Base64 as JSON text."""
    return Raw(msgspec.json.encode(base64.b64encode(packed).decode()))


def problem_of(text, limit=1000):
    """What is wrong with it."""
    with pytest.raises(RpcError) as caught:
        inflate(text, limit)
    assert caught.value.data["field"] == "logs"
    return caught.value.data["problem"]


@pytest.mark.parametrize("pack", [gzip.compress, compress])
@pytest.mark.parametrize("size", [0, 1, 1000])
def test_content_up_to_the_limit(pack, size):
    """gzip and zstd."""
    assert inflate(text_of(pack(b"x" * size)), 1000) == b"x" * size


def test_a_gzip_file_may_have_members():
    """As `cat a.gz b.gz` makes it."""
    packed = gzip.compress(b"[1,") + gzip.compress(b"2]")

    assert inflate(text_of(packed), 1000) == b"[1,2]"


@pytest.mark.parametrize(
    ("packed", "problem"),
    [
        (gzip.compress(b"x" * 1001, mtime=0), "too big inflated"),
        (gzip.compress(b"x" * 600, mtime=0) * 2, "too big inflated"),
        (compress(b"x" * 1001), "declares 1001 bytes"),
        (gzip.compress(b"x" * 100, mtime=0)[:-9], "cut off"),
        (gzip.compress(b"", mtime=0) * 65, "too many gzip members"),
        (gzip.compress(b"x", mtime=0) + b"rest", "incorrect header check"),
        (b"\x1f\x8b rest", "compression method"),
        (compress(b"x" * 100)[:-3], "zstd"),
        (b"plain", "starts with 706c6169"),
        (b"", "starts with"),
    ],
)
def test_what_is_refused(packed, problem):
    """The reason is in the error."""
    assert problem in problem_of(text_of(packed))


@pytest.mark.parametrize("text", [b'"no base64!"', b'"\\ud800"', b'"a"', b"5"])
def test_what_is_no_base64(text):
    """Or no text at all."""
    assert problem_of(Raw(text)) == "no base64"
