"""Passkeys in a real browser, with Chromium's virtual authenticator for a finger."""

import base64
from contextlib import contextmanager

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from portal.demo.world import PASSWORD
from tests.browser.conftest import sign_in

BEN, AMY = "ben@example.com", "amy@example.com"


@contextmanager
def authenticator(browser):
    """A browser with a device of its own that says yes to everything; yields its page and what it holds."""
    context = browser.new_context()
    page = context.new_page()
    control = context.new_cdp_session(page)
    control.send("WebAuthn.enable")
    made = control.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )

    def held():
        return control.send("WebAuthn.getCredentials", made)["credentials"]

    try:
        yield (
            page,
            held,
            lambda one: control.send("WebAuthn.addCredential", {**made, "credential": one}),
        )
    finally:
        context.close()


@pytest.fixture(scope="module")
def at(site):
    """The site under a name: a passkey belongs to a domain, never to an address of numbers."""
    return site.replace("127.0.0.1", "localhost")


def show_that_it_is_you(page):
    if "/confirm/" in page.url:
        wanted = page.url.rpartition("next=")[2].replace("%2F", "/")
        page.fill("input[name=password]", PASSWORD)
        page.press("input[name=password]", "Enter")
        page.wait_for_url(f"**{wanted}")


def add(page, at, *, alone):
    page.goto(f"{at}/console/account/second-factor/passkeys/add/")
    show_that_it_is_you(page)
    page.fill("input[name=name]", "My laptop")
    if alone:
        page.check("input[name=passwordless]")
    page.click("text=Add it")
    page.wait_for_url(lambda url: not url.endswith("/passkeys/add/"))


def a_key():
    made = ec.generate_private_key(ec.SECP256R1())
    raw = made.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return base64.b64encode(raw).decode()


def sign_out(page, at):
    page.context.clear_cookies()
    page.goto(f"{at}/sign-in/")


def remove(page, at):
    page.goto(f"{at}/console/account/second-factor/")
    page.get_by_role("link", name="Remove", exact=True).click()
    page.wait_for_load_state()
    show_that_it_is_you(page)
    page.get_by_role("button", name="Remove the passkey").click()
    page.wait_for_url(f"{at}/console/account/second-factor/")


def test_a_passkey_signs_in_by_itself_and_another_devices_does_not(at, browser):
    with authenticator(browser) as (page, held, _):
        sign_in(page, at, BEN)
        add(page, at, alone=True)
        (credential,) = held()
        assert credential["isResidentCredential"]
        page.goto(f"{at}/console/account/second-factor/")
        assert "signs you in by itself" in page.inner_text("main")

        sign_out(page, at)
        page.click("text=Sign in with a passkey")
        page.wait_for_url(f"{at}/console/")
        assert held()[0]["signCount"] > credential["signCount"]

        with authenticator(browser) as (other, _, keep):
            other.goto(f"{at}/sign-in/")
            other.click("text=Sign in with a passkey")
            other.wait_for_selector("[data-said]:visible")
            # A device that made itself a key for the same person: ours never saw it.
            keep({**credential, "credentialId": "AAAAAAAAAAAAAAAAAAAAAA==", "privateKey": a_key()})
            other.click("text=Sign in with a passkey")
            other.wait_for_load_state("networkidle")
            assert "/sign-in/" in other.url
            other.goto(f"{at}/console/")
            assert "/sign-in/" in other.url
        remove(page, at)
        sign_out(page, at)
        page.click("text=Sign in with a passkey")
        page.wait_for_load_state("networkidle")
        assert "/sign-in/" in page.url


def test_a_passkey_is_asked_for_after_the_password(at, browser):
    with authenticator(browser) as (page, held, _):
        sign_in(page, at, AMY)
        add(page, at, alone=False)
        assert len(held()) == 1

        sign_out(page, at)
        page.fill("input[name=username]", AMY)
        page.fill("input[name=password]", PASSWORD)
        page.press("input[name=password]", "Enter")
        page.wait_for_url("**/sign-in/second-factor/**")
        page.goto(f"{at}/console/")
        assert "/sign-in/" in page.url
        page.goto(f"{at}/sign-in/second-factor/")
        page.click("text=Use a passkey")
        page.wait_for_url(f"{at}/console/")
        remove(page, at)
