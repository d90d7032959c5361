"""When a commit is due, and where a block ends."""

from pipeline.entry import Entry
from pipeline.ingester.batcher import Batcher, Policy
from pipeline.limits import BATCH_ROWS, BLOCK_COLUMNS, PAYLOAD_BYTES
from pipeline.store.block import Part
from pipeline.wire.codec import batch_of
from tests.wire.messages import PRODUCER, entry

MS = 1_000_000


def part(entries: list[Entry]) -> Part:
    """A batch on its way into a block."""
    batch = batch_of(entries).batch
    assert batch is not None
    return Part(batch, PRODUCER, 1, None)


ONE = part([entry()])


def test_nothing_is_due_while_nothing_waits() -> None:
    """No commits of nothing."""
    assert Batcher(Policy()).deadline() is None


def test_a_commit_is_due_an_age_after_the_first_part() -> None:
    """Later parts don't put it off."""
    batcher = Batcher(Policy())

    batcher.add(ONE, now=100 * MS)
    batcher.add(ONE, now=130 * MS)

    assert batcher.deadline() == 150 * MS


def test_a_flush_shortens_the_wait() -> None:
    """To 5 ms; a second one doesn't put it off."""
    batcher = Batcher(Policy())
    batcher.add(ONE, now=100 * MS)

    batcher.flush(100 * MS)
    batcher.flush(103 * MS)

    assert batcher.deadline() == 105 * MS


def test_flushes_make_at_most_100_commits_a_second() -> None:
    """The next one waits for 10 ms after the last."""
    batcher = Batcher(Policy())
    batcher.add(ONE, now=100 * MS)
    batcher.cut(100 * MS)

    batcher.add(ONE, now=101 * MS)
    batcher.flush(101 * MS)

    assert batcher.deadline() == 110 * MS


def test_a_cut_takes_everything() -> None:
    """Nothing waits after it."""
    batcher = Batcher(Policy())
    batcher.add(ONE, now=0)

    assert batcher.cut(1) == [[ONE]]
    assert (batcher.deadline(), batcher.rows, batcher.cut(2)) == (None, 0, [])


def test_it_is_full_by_rows_or_bytes() -> None:
    """Rows of one more part like the last, or bytes of those that are here."""
    many = part([entry()] * 400)
    for policy, rounds in [
        (Policy(rows=1000), 2),
        (Policy(bytes=2 * many.batch.size), 2),
    ]:
        batcher = Batcher(policy)
        for _ in range(rounds):
            assert not batcher.full()
            batcher.add(many, now=0)
        assert batcher.full()


def test_a_block_ends_where_rows_would_not_fit() -> None:
    """65,536 rows."""
    batcher = Batcher(Policy())
    half = part([entry()] * (BATCH_ROWS // 2 + 1))

    for _ in range(3):
        batcher.add(half, now=0)

    assert batcher.cut(1) == [[half], [half], [half]]


def test_a_block_ends_where_columns_would_not_fit() -> None:
    """1,024 names, of which senders with the same keys share theirs."""
    batcher = Batcher(Policy())
    keys = [
        part([entry(metadata={f"{sender}.{key}": 1 for key in range(100)})])
        for sender in range(BLOCK_COLUMNS // 100 + 1)
    ]

    for each in [*keys, keys[-1]]:
        batcher.add(each, now=0)

    assert batcher.cut(1) == [keys[:-1], keys[-1:] * 2]


def test_a_block_ends_where_bytes_would_not_fit() -> None:
    """What its columns take after decompression, however small they came."""
    batcher = Batcher(Policy())
    large = part([entry("x" * (1 << 20))] * 25)
    assert 2 * large.batch.size < PAYLOAD_BYTES < 3 * large.batch.size

    for _ in range(3):
        batcher.add(large, now=0)

    assert batcher.cut(1) == [[large, large], [large]]
