"""The typed settings of every process; the only package that reads YAML."""

from __future__ import annotations

from pipeline.settings.load import from_environment, load, survey
from pipeline.settings.model import Settings

__all__ = ["Settings", "from_environment", "load", "survey"]
