"""One rival in a process of its own, so that its CPU and memory are its own.

python -m bench.rivals chdb prepare --folder DIR --entries 300000
python -m bench.rivals chdb ingest --folder DIR       # prints a Load as JSON
"""

from __future__ import annotations

import argparse
import gc
import json
from dataclasses import asdict
from pathlib import Path

from bench.corpus import pieces
from bench.rivals import NAMES, open_rival


def main() -> None:
    """Prepare or ingest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("step", choices=("prepare", "ingest"))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--entries", type=int, default=300_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--address", default="")
    arguments = parser.parse_args()
    rival = open_rival(arguments.name, arguments.folder, arguments.address)
    try:
        if arguments.step == "prepare":
            gc.disable()  # millions of entries, none of them in a cycle
            rival.prepare(pieces(arguments.entries, arguments.seed))
        else:
            print(json.dumps(asdict(rival.ingest())))
    finally:
        rival.close()


if __name__ == "__main__":
    main()
