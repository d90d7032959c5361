"""`python -m pipeline.settings > config/schema.json`; `--defaults` for default.yaml."""

from __future__ import annotations

import sys

from pipeline.settings.generate import listing, schema

if __name__ == "__main__":
    sys.stdout.write(listing() if "--defaults" in sys.argv[1:] else schema())
