"""The long forms of the faults: as many runs as it takes to believe a zero.

python -m tests.faults            all of them, one after another
python -m tests.faults NAME ...   some, by their names or those of their modules
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.capabilities import Absent
from tests.faults.report import Figures, table

Fault = Callable[..., Figures]


def known() -> dict[str, dict[str, Fault]]:
    """Faults by module: every module in this folder that has FAULTS."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem.startswith(("_", "test_")) or path.stem == "conftest":
            continue
        module = importlib.import_module(f"tests.faults.{path.stem}")
        faults = getattr(module, "FAULTS", None)
        if faults:
            found[path.stem] = faults
    return found


def chosen(names: list[str]) -> dict[str, Fault]:
    """The named ones, all without names; raises SystemExit for a name unknown."""
    modules = known()
    everything = {
        name: fault for faults in modules.values() for name, fault in faults.items()
    }
    picked = {} if names else dict(everything)
    for name in names:
        if name in modules:
            picked |= modules[name]
        elif name in everything:
            picked[name] = everything[name]
        else:
            raise SystemExit(f"{name} is no fault; known: {', '.join(everything)}")
    return picked


def run(name: str, fault: Fault) -> Figures:
    """One long form in a folder of its own, where spools are as well."""
    with tempfile.TemporaryDirectory(prefix="fault-") as folder:
        os.environ["XDG_STATE_HOME"] = f"{folder}/state"
        start = time.monotonic()
        found = fault(Path(folder), long=True)
        return found._replace(
            fault=found.fault or name,
            seconds=found.seconds or time.monotonic() - start,
        )


def main() -> int:
    """Run, tell each result at once, end with the table; 1 when one does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    found: list[Figures] = []
    failed: list[str] = []
    skipped: list[str] = []
    for name, fault in chosen(parser.parse_args().names).items():
        try:
            figures = run(name, fault)
        except Absent as reason:
            skipped.append(f"{name} skipped: {reason}")
            print(skipped[-1], flush=True)
        except Exception:  # noqa: BLE001 - the others shall run
            failed.append(name)
            traceback.print_exc()
        else:
            found.append(figures)
            print(table([figures]), flush=True)
            if not figures.holds:
                failed.append(name)
    print("", table(found), *skipped, sep="\n")
    if failed:
        print(f"not as it must be: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
