"""`python -m pipeline.tools > node/src/tools.json`: the definitions for Node."""

from __future__ import annotations

import json
import sys

from pipeline.tools.definitions import DEFINITIONS

if __name__ == "__main__":
    sys.stdout.write(json.dumps(DEFINITIONS, indent=2, ensure_ascii=False) + "\n")
