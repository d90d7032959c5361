"""Where a collector's spools are: a folder of the user's for each ingester."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import Final

FOLDER_VARIABLE: Final = "PIPELINE_COLLECTOR__SPOOL_DIR"
STATE_VARIABLE: Final = "XDG_STATE_HOME"
_NAME: Final = Path("recursive-log-pipeline", "spool")


def spool_folder(given: str | Path, endpoint: str) -> Path | None:
    """The folder for what goes to this ingester; None when the user has no home.

    It is named by the endpoint: what was logged for one ingester is sent to no other.
    """
    base = given or os.environ.get(FOLDER_VARIABLE) or _default()
    if base is None:
        return None
    return Path(base).absolute() / sha256(endpoint.encode()).hexdigest()[:8]


def unusable(folder: Path) -> str:
    """Why no spool can be there; makes the folder, nothing if it can be used."""
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
    except OSError as error:
        return f"{folder}: {error.strerror or error}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder}: it can't be written"
    return ""


def _default() -> Path | None:
    state = os.environ.get(STATE_VARIABLE, "")
    if os.path.isabs(state):  # others are to be ignored, says the XDG specification
        return Path(state) / _NAME
    home = os.path.expanduser("~")
    return Path(home, ".local", "state") / _NAME if os.path.isabs(home) else None
