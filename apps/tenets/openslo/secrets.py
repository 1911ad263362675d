"""Secrets in a file: found by name and by shape, refused, never said again."""

import re

from apps.tenets.openslo.findings import Findings
from apps.tenets.openslo.reading import At
from apps.tenets.openslo.words import PREFIX

_SECRET = re.compile(
    r"secret|passw|passphrase|token|credential|bearer|api.?key|access.?key|private.?key|authorization",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"://[^/\s@]*:[^/\s@]*@")


def may_hold_a_secret(text: str) -> bool:
    """Whether a file that cannot be read as YAML looks as if it held one."""
    return bool(_SECRET.search(text) or _USERINFO.search(text))


def refuse_secrets(findings: Findings, document: At) -> None:
    """Refuse secrets by name and by shape; their values are never said."""
    for name, one in document.walk():
        told = one.kind in {"text", "number"} and str(one.value).strip()
        if told and _SECRET.search(name) and not name.startswith(PREFIX):
            _secret(findings, one, f"“{name[:40]}” looks like a secret")
        elif one.kind == "text" and _USERINFO.search(one.value):
            _secret(findings, one, f"“{name[:40]}” has a password in its address")
    for _, details in document.walk():
        held = details.get("connectionDetails") if details.kind == "map" else None
        for item in held.items if held else []:
            if item.kind == "text" and _SECRET.search(item.value):
                _secret(findings, item, "connectionDetails look like they hold a secret")


def _secret(findings: Findings, at: At, what: str) -> None:
    findings.report.secret = True
    findings.error(
        at, f"{what}: secrets do not belong into such a file. Take it out; nothing was kept."
    )
