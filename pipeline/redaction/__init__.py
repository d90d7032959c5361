"""Secrets out of texts and values: by the name of a key, and by the form of a text.

The rules are redaction.json, which the collectors of Node have too, and those of the
settings; a test holds the two languages equal.
"""

from pipeline.redaction.given import chosen, rules_of
from pipeline.redaction.redactor import Redactor
from pipeline.redaction.rules import DEFAULT, LONGEST, MASK, Rules

__all__ = [
    "DEFAULT",
    "LONGEST",
    "MASK",
    "Redactor",
    "Rules",
    "chosen",
    "is_secret_key",
    "masked",
    "rules_of",
]


def is_secret_key(key: str) -> bool:
    """Whether a key's value is a secret by the key's name."""
    return DEFAULT.hides(key) is not None


def masked(text: str) -> str:
    """The text without what has the form of a secret."""
    return DEFAULT.masked(text)
