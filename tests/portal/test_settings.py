"""Settings come from the environment; what is wrong with them is said, with an id."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from portal import env

ROOT = Path(__file__).parent.parent.parent


def manage(*arguments: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("PORTAL_", "DATABASE_", "DJANGO_", "EMAIL_"))
    }
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        check=False,
        cwd=ROOT,
        env={**kept, "PORTAL_HOME": str(home), **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


PRODUCTION = {
    "PORTAL_PRODUCTION": "1",
    "PORTAL_URL": "https://status.example.org",
    "PORTAL_MAIL_FROM": "portal@status.example.org",
}


def test_production_settings_pass_every_check(tmp_path):
    done = manage("check", "--deploy", "--fail-level", "WARNING", home=tmp_path, **PRODUCTION)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"PORTAL_LEASE_SECONDS": "soon"},
            "(portal.E001) PORTAL_LEASE_SECONDS: 'soon' is not a whole number",
        ),
        (
            {"PORTAL_PRODUCTION": "maybe"},
            "(portal.E001) PORTAL_PRODUCTION: 'maybe' is neither yes nor no",
        ),
        (
            {"DATABASE_URL": "mysql://x"},
            "(portal.E001) DATABASE_URL: must begin with postgresql://",
        ),
        (
            {"PORTAL_SECRET_KEY_FILE": "/nowhere"},
            "(portal.E001) PORTAL_SECRET_KEY_FILE: cannot read /nowhere",
        ),
        ({"PORTAL_URL": "status"}, "(portal.E002)"),
        ({"PORTAL_URL": "http://[x"}, "(portal.E001) PORTAL_URL: 'http://[x' is not an address"),
        (
            {"EMAIL_URL": "smtp://h:abc"},
            "(portal.E001) EMAIL_URL: 'smtp://h:abc' is not an address",
        ),
        ({"DATABASE_URL": "postgresql://u@h:x/n"}, "(portal.E001) DATABASE_URL: "),
        ({"DATABASE_URL": "postgresql://u@[::1/n"}, "(portal.E001) DATABASE_URL: "),
        ({"PORTAL_LOG_LEVEL": "loud"}, "(portal.E001) PORTAL_LOG_LEVEL: 'LOUD' is not one of"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, variables, said):
    done = manage("check", home=tmp_path, **variables)

    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"PORTAL_PRODUCTION": ""}, "portal.W001"),
        ({"PORTAL_URL": "http://status.example.org"}, "portal.W002"),
        ({"PORTAL_MAIL_FROM": ""}, "portal.W003"),
    ],
)
def test_what_is_unfit_for_production_is_named(tmp_path, variables, said):
    done = manage("check", "--deploy", home=tmp_path, **{**PRODUCTION, **variables})

    assert said in done.stderr


def test_secrets_are_made_once_and_kept_from_others(tmp_path):
    first = env.kept_secret("PORTAL_NO_SUCH_KEY", tmp_path / "new" / "secret")

    assert env.kept_secret("PORTAL_NO_SUCH_KEY", tmp_path / "new" / "secret") == first
    assert len(first) >= 50
    assert (tmp_path / "new" / "secret").stat().st_mode & 0o777 == 0o600


def test_a_database_address_may_name_a_socket_directory():
    found = env.database("postgresql://me:p%40ss@/name?host=/run/here&port=5433")

    assert found == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "name",
        "USER": "me",
        "PASSWORD": "p@ss",
        "HOST": "/run/here",
        "PORT": "5433",
        "OPTIONS": {},
    }
