"""Alerts as entries of source `alerts`: what they are, how they are told and read."""

from pipeline.alerts.entries import (
    acknowledged,
    silenced,
    to_entry,
    undelivered,
    unsilenced,
)
from pipeline.alerts.fold import Folded, fold
from pipeline.alerts.model import (
    SILENCE_DAYS,
    SOURCE,
    Acknowledgement,
    Alert,
    Kind,
    Matcher,
    Pattern,
    Reason,
    Sample,
    Silence,
    with_evidence,
)

__all__ = [
    "SILENCE_DAYS",
    "SOURCE",
    "Acknowledgement",
    "Alert",
    "Folded",
    "Kind",
    "Matcher",
    "Pattern",
    "Reason",
    "Sample",
    "Silence",
    "acknowledged",
    "fold",
    "silenced",
    "to_entry",
    "undelivered",
    "unsilenced",
    "with_evidence",
]
