"""zstd: what is written can be read, and bombs are refused by what they declare."""

import threading

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compression import compress, decompress
from pipeline.errors import FrameError


@given(st.binary(max_size=10_000), st.sampled_from([1, 3, 9]))
def test_content_comes_back(content: bytes, level: int) -> None:
    """At any level, at exactly the limit."""
    assert decompress(compress(content, level), len(content)) == content


@given(st.binary(max_size=300))
def test_noise_is_refused(noise: bytes) -> None:
    """By FrameError and nothing else."""
    for data in (noise, b"\x28\xb5\x2f\xfd" + noise):
        try:
            assert len(decompress(data, 1000)) <= 1000
        except FrameError:
            continue


def streamed(content: bytes, **options: int) -> bytes:
    """A frame that does not declare its size."""
    writer = zstandard.ZstdCompressor(**options).compressobj()
    return writer.compress(content) + writer.flush()


def declared(size: int) -> bytes:
    """A frame of one byte that claims to be `size`."""
    return b"\x28\xb5\x2f\xfd\xe0" + size.to_bytes(8, "little") + b"\x0b\0\0x\0"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (compress(b"x" * 1001), "too_large"),
        (declared(1 << 40), "too_large"),
        (declared(2**64 - 3), "too_large"),
        (streamed(b"x"), "size_unknown"),
        (compress(b"x" * 100)[:-1], "bad_zstd"),
        (declared(900), "bad_zstd"),
        (b"", "bad_zstd"),
    ],
)
def test_a_frame_that_can_not_be_trusted_is_refused(data: bytes, reason: str) -> None:
    """Before memory is taken for it."""
    with pytest.raises(FrameError) as caught:
        decompress(data, 1000)

    assert caught.value.reason == reason


def test_threads_have_contexts_of_their_own() -> None:
    """They may compress at the same time."""
    wrong: list[bytes] = []

    def work(name: int) -> None:
        content = bytes([name]) * 50_000
        found = (decompress(compress(content), 50_000) for _ in range(200))
        wrong.extend(each for each in found if each != content)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
