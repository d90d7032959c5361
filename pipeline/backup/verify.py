"""Are the backups in a folder what was written, and can they be restored?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from pipeline.backup import bundle, manifest
from pipeline.backup.bundle import File, Key
from pipeline.backup.manifest import BLOCKS, STATE, Manifest
from pipeline.errors import StoreError
from pipeline.store.block_check import CHANGED, check_block, digests_of
from pipeline.store.chain import State
from pipeline.store.database import DatabaseError, open_reader
from pipeline.store.listed import Listed, live_blocks
from pipeline.store.rows_of_block import rows_of_block
from pipeline.store.verify import Verdict, compare, expect_head, verify_chain

Tell = Callable[[int, int], None]


def is_backups(path: Path) -> bool:
    """Whether a path is a folder of backups."""
    return path.is_dir() and (path / BLOCKS).is_dir()


def verify_backups(
    folder: Path,
    wanted: str | None = None,
    tell: Tell = lambda *_: None,
    expected: str | None = None,
) -> dict[str, Verdict]:
    """What is found of each backup, or of one; each file is read once.

    `expected`: a hash of the chain that the newest of them must have, as hex digits.
    """
    names = (
        manifest.names(folder) if wanted is None else [manifest.choose(folder, wanted)]
    )
    if not names:
        raise StoreError(f"{folder} has no complete backup")
    verdicts = {name: Verdict() for name in names}
    backups: dict[str, Manifest] = {}
    for name, verdict in verdicts.items():
        try:
            backups[name] = manifest.read(folder / name)
        except StoreError as error:
            verdict.flaws.append(str(error))
    files = {file.name: file for each in backups.values() for file in each.files}
    looked = _Files(folder, files, tell)
    for name, made in backups.items():
        of_newest = expected if name == names[-1] else None
        _verify(folder, made, looked, verdicts[name], of_newest)
    return verdicts


class _Files:
    """Bundles, each looked at once: what is wrong, and which blocks it has."""

    def __init__(self, folder: Path, files: dict[str, File], tell: Tell) -> None:
        self.flaws: dict[str, str] = {}
        self.damaged: dict[Key, list[str]] = {}
        self.there: dict[Key, Listed] = {}
        self.digests: dict[Key, tuple[bytes, bytes]] = {}
        for place, file in enumerate(files.values(), 1):
            try:
                self._look_at(folder / BLOCKS / file.name, file)
            except (OSError, StoreError, DatabaseError) as error:
                self.flaws[file.name] = f"{file.name} can't be read: {error}"
            tell(place, len(files))

    def _look_at(self, path: Path, file: File) -> None:
        if bundle.digest_of(path) != file.sha256:
            self.flaws[file.name] = f"{path} was changed: its SHA-256 is wrong"
        with closing(open_reader(path)) as connection:
            for block in live_blocks(connection):
                self.there[block.key] = block
                try:
                    rows = rows_of_block(connection, block.id)
                    flaws = [] if rows is None else check_block(rows, None)
                    if rows is not None and not flaws:
                        self.digests[block.key] = digests_of(rows)
                except DatabaseError as error:
                    flaws = [f"it can't be read: {error}"]
                if flaws:
                    self.damaged[block.key] = flaws


def _verify(
    folder: Path,
    made: Manifest,
    files: _Files,
    verdict: Verdict,
    expected: str | None,
) -> None:
    verdict.commit = made.commit
    verdict.flaws += [
        files.flaws[file.name] for file in made.files if file.name in files.flaws
    ]
    live = []
    for key in made.blocks:
        block = files.there.get(key)
        if block is None:
            verdict.damaged[key[0]] = ["it is in none of the files"]
            continue
        live.append(block)
        verdict.blocks += 1
        verdict.rows += block.rows
        if flaws := files.damaged.get(key):
            if key[0] in made.damaged:
                verdict.notes.append(
                    f"block {key[0]} was damaged in the store: {'; '.join(flaws)}"
                )
            else:
                verdict.damaged[key[0]] = flaws
    state = _state(folder / made.name / STATE, made, verdict, expected)
    if state is not None:
        for block_id, flaws in compare(live, state, verdict).items():
            verdict.damaged.setdefault(block_id, flaws)
        for key in made.blocks:
            held, found = state.live.get(key[0]), files.digests.get(key)
            if held and found and found[held.is_whole] != held.digest:
                verdict.damaged.setdefault(key[0], [CHANGED])
    if verdict.rows != made.rows:
        verdict.flaws.append(f"{verdict.rows} entries; there must be {made.rows}")
    verdict.damaged = dict(sorted(verdict.damaged.items()))


def _state(
    path: Path, made: Manifest, verdict: Verdict, expected: str | None
) -> State | None:
    try:
        if bundle.digest_of(path) != made.state.sha256:
            verdict.flaws.append(f"{path} was changed: its SHA-256 is wrong")
        with closing(open_reader(path)) as connection:
            rows = connection.execute("SELECT * FROM chain ORDER BY id").fetchall()
    except (OSError, StoreError, DatabaseError) as error:
        verdict.flaws.append(f"{path} can't be read: {error}")
        return None
    state = verify_chain(rows, verdict)
    if expected is not None:
        expect_head(rows, expected, verdict)
    if verdict.head != made.head:
        verdict.flaws.append("the chain does not end with the hash of the manifest")
    return state
