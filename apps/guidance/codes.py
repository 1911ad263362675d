"""Error codes: an HTTP status ("502"), a class of them ("5xx") or an application's own ("card_declined")."""

import re

MAX_WAIT_S = 86_400  # the longest wait an advice may name
PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}"
_WELL_FORMED = re.compile(PATTERN)
_STATUS = re.compile(r"[45][0-9][0-9]")


def is_well_formed(code: str) -> bool:
    """Return whether `code` can be an error code at all."""
    return _WELL_FORMED.fullmatch(code) is not None


def is_status(code: str) -> bool:
    """Return whether `code` is an HTTP status of an error (400 to 599)."""
    return _STATUS.fullmatch(code) is not None


def class_of(code: str) -> str | None:
    """Return "5xx" for a server error's status; None where no class shares one advice."""
    return "5xx" if is_status(code) and code[0] == "5" else None


def family(code: str) -> tuple[str, ...]:
    """Return the code and then what stands for it when nobody wrote about it."""
    wider = class_of(code)
    return (code, wider) if wider else (code,)
