"""Read settings from the environment, typed; a secret may be given as NAME or as a file named by NAME_FILE."""

import logging
import os
import re
import secrets
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

#: What was wrong in the environment, as (setting, reason); reported by `manage.py check` as portal.E001.
PROBLEMS: list[tuple[str, str]] = []


def text(name: str, default: str = "") -> str:
    """Return the variable, or the contents of the file that NAME_FILE names, or the default."""
    if (value := os.environ.get(name)) is not None:
        return value
    if path := os.environ.get(f"{name}_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            PROBLEMS.append((f"{name}_FILE", f"cannot read {path}: {error.strerror}"))
    return default


def flag(name: str, *, default: bool = False) -> bool:
    """Return a yes/no setting: 1, true, yes, on or 0, false, no, off."""
    value = text(name).strip().lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    if value:
        PROBLEMS.append((name, f"{value!r} is neither yes nor no"))
    return default


def integer(name: str, default: int, *, least: int = 0) -> int:
    """Return a whole number not below `least`."""
    value = text(name).strip()
    if not value:
        return default
    if value.isascii() and value.isdigit() and int(value) >= least:
        return int(value)
    PROBLEMS.append((name, f"{value!r} is not a whole number of at least {least}"))
    return default


def address(name: str, value: str) -> SplitResult:
    """Return the parts of the address that the setting `name` has; one that is none has no parts."""
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  (it is read, and refused, only when asked for)
    except ValueError as error:
        PROBLEMS.append((name, f"{value!r} is not an address: {error}"))
        return urlsplit("")
    return parts


def level(name: str, default: str) -> str:
    """Return a level of logging."""
    value = text(name).strip().upper() or default
    if value in logging.getLevelNamesMapping():
        return value
    PROBLEMS.append((name, f"{value!r} is not one of DEBUG, INFO, WARNING, ERROR, CRITICAL"))
    return default


def words(name: str, default: str = "") -> list[str]:
    """Return a comma-separated list without blanks."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def names(name: str, default: str, *, most: int) -> list[str]:
    """Return a comma-separated list of names: lower-case letters, digits and underscores, at most so many."""
    found = list(dict.fromkeys(words(name, default)))
    bad = [word for word in found if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", word)]
    if bad:
        PROBLEMS.append(
            (name, f"{bad[0]!r} is no name: lower-case letters, digits and underscores")
        )
    if len(found) > most:
        PROBLEMS.append((name, f"{len(found)} names are too many: {most} are the most"))
    return [word for word in found if word not in bad][:most]


def kept_secrets(name: str, path: Path) -> list[bytes]:
    """Return secrets that were in use once: words, from the environment or from `path`, the latest first."""
    given = text(name)
    if not given and path.exists():
        # A line of the file may say after the secret until when it was in use.
        given = " ".join(
            line.split()[0] for line in path.read_text("ascii").splitlines() if line.strip()
        )
    return [word.encode() for word in given.replace(",", " ").split()]


def kept_secret(name: str, path: Path) -> str:
    """Return the secret from the environment, or from `path`, made there once (mode 0600) when missing."""
    if value := text(name):
        return value
    try:
        if value := path.read_text(encoding="ascii").strip():
            return value
        path.unlink()
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    # Linked into place rather than written there: two commands started at once must not see
    # half a secret, nor keep two different ones.
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(48))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text(encoding="ascii").strip()


def database(url: str) -> dict[str, object]:
    """Return Django's settings for a postgresql:// address; a socket directory goes in `?host=`.

    An empty or wrong address gives settings that cannot connect, and a note in PROBLEMS.
    """
    told = len(PROBLEMS)
    parts = address("DATABASE_URL", url)
    if parts.scheme not in {"postgresql", "postgres"}:
        if url and len(PROBLEMS) == told:
            PROBLEMS.append(("DATABASE_URL", "must begin with postgresql://"))
        return {"ENGINE": "django.db.backends.postgresql", "NAME": "portal"}
    options = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "portal",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", "") or unquote(parts.hostname or ""),
        "PORT": options.pop("port", "") or str(parts.port or ""),
        "OPTIONS": dict(options),
    }


def oidc(*, production: bool) -> dict[str, str]:
    """Return the company's own sign-in, PORTAL_OIDC_*: issuer, client, secret, name; nothing without an issuer."""
    issuer, client = text("PORTAL_OIDC_ISSUER").rstrip("/"), text("PORTAL_OIDC_CLIENT_ID")
    if not issuer and not client:
        return {}
    parts = address("PORTAL_OIDC_ISSUER", issuer)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        PROBLEMS.append(("PORTAL_OIDC_ISSUER", f"{issuer!r} is not an address"))
        return {}
    if production and parts.scheme != "https":
        PROBLEMS.append(("PORTAL_OIDC_ISSUER", "must begin with https:// in production"))
        return {}
    if not client:
        PROBLEMS.append(("PORTAL_OIDC_CLIENT_ID", "is missing"))
        return {}
    return {
        "issuer": issuer,
        "client": client,
        "secret": text("PORTAL_OIDC_CLIENT_SECRET"),
        "name": text("PORTAL_OIDC_NAME", "your company’s account"),
    }


def broker_dsn(url: str) -> str:
    """Return a database address as `key=value` words, the one form in which pgmq reads a socket directory."""
    from psycopg import ProgrammingError  # noqa: PLC0415  (only when the broker is on PostgreSQL)
    from psycopg.conninfo import conninfo_to_dict, make_conninfo  # noqa: PLC0415

    try:
        return make_conninfo("", **conninfo_to_dict(url))
    except ProgrammingError as error:
        PROBLEMS.append(("DATABASE_URL", str(error).strip()))
        return ""
