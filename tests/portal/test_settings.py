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
    "wrong",
    [
        {
            ("PORTAL_LEASE_SECONDS", "soon"): "'soon' is not a whole number",
            ("PORTAL_PRODUCTION", "maybe"): "'maybe' is neither yes nor no",
            ("DATABASE_URL", "mysql://x"): "must begin with postgresql://",
            ("PORTAL_SECRET_KEY_FILE", "/nowhere"): "cannot read /nowhere",
            ("PORTAL_URL", "http://[x"): "'http://[x' is not an address",
            ("EMAIL_URL", "smtp://h:abc"): "'smtp://h:abc' is not an address",
            ("PORTAL_LOG_LEVEL", "loud"): "'LOUD' is not one of",
        },
        {("DATABASE_URL", "postgresql://u@h:x/n"): ""},
        {("DATABASE_URL", "postgresql://u@[::1/n"): ""},
    ],
)
def test_every_wrong_setting_is_named_at_once(tmp_path, wrong):
    done = manage("check", home=tmp_path, **dict(wrong.keys()))

    assert done.returncode == 1
    for (name, _), said in wrong.items():
        assert f"(portal.E001) {name}: {said}" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_of_ours_that_is_none_is_named(tmp_path):
    done = manage("check", home=tmp_path, PORTAL_URL="status")

    assert done.returncode == 1
    assert "(portal.E002)" in done.stderr
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
