"""The settings of redaction: what is masked before it leaves a process."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.redaction.expression import ExpressionError, read_expression
from pipeline.redaction.table import NAMES
from pipeline.settings.declare import NOT_EMPTY, listed, setting

NAME = r"^\*?[\w.-]{1,100}$"


def _flaw(expression: str) -> tuple[str, str] | None:
    try:
        read_expression(expression)
    except ExpressionError as error:
        return error.problem, error.expected
    return None


@dataclass(frozen=True, slots=True)
class Form:
    """A form of secrets that is masked beside the known ones."""

    name: str = setting(
        "",
        "What counters call it.",
        pattern=r"^[a-z][a-z0-9_]{0,39}$",
        example="customer_number",
        required=True,
    )
    expression: str = setting(
        "",
        "What it looks like: a regular expression with bounded repeats, without look-"
        "arounds and backreferences. What a group (...) at its beginning holds stays.",
        example=r"\bCUST-[0-9]{6,12}",
        pattern=NOT_EMPTY,
        flaw=_flaw,
        required=True,
    )


@dataclass(frozen=True, slots=True)
class Redaction:
    """What collectors, bridge and gateway mask: keys by name, texts by form."""

    enabled: bool = setting(
        True, "Whether secrets are masked: passwords, tokens, cookies, card numbers."
    )
    fields: tuple[str, ...] = setting(
        (),
        "Keys of metadata whose values are masked, too; case and - _ . make no"
        " difference, *pin is an ending.",
        pattern=NAME,
        example="iban",
    )
    patterns: tuple[Form, ...] = listed(
        Form, "Forms of secrets in texts: a list of sections."
    )
    except_fields: tuple[str, ...] = setting(
        (), "Keys whose values are left as they are.", pattern=NAME, example="csrftoken"
    )
    except_rules: tuple[str, ...] = setting(
        (), "Known forms that are left as they are.", choices=NAMES, example="card"
    )
