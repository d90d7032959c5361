"""The pipeline and the sources of the end-to-end tests."""

from tests.end_to_end.conftest import pipeline, source

__all__ = ["pipeline", "source"]
