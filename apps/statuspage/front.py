"""The WSGI middleware ahead of Django: rendered pages from memory.

It asks nothing of the database, so that the pages stand when everything else is down. `/` is the
public page or, with a valid cookie, the customer's own; Django is asked only to renew a cookie that
ran out, and when it cannot answer, the customer keeps what they could read before.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable
from threading import BoundedSemaphore
from typing import Any

from django.conf import settings

from apps.guidance import errors
from apps.statuspage import cookie, pages
from apps.statuspage.shelf import Generation, Page, Shelf
from apps.statuspage.static import StaticFiles

logger = logging.getLogger(__name__)

Environ = dict[str, Any]
Application = Callable[..., Iterable[bytes]]
Headers = list[tuple[str, str]]

PUBLIC_CACHE = "public, max-age=15, s-maxage=15, stale-while-revalidate=60, stale-if-error=86400"
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'"
)
PRIVATE_CACHE = "private, no-store"
STYLE_CACHE = "public, max-age=31536000, immutable"  # its address changes with it
ASKING_AT_ONCE = 2  # threads that may wait for Django when it renews a cookie
NOT_ASKED_S = 10.0  # how long Django is left alone after it could not answer
_INCIDENT = re.compile(r"/i/(INC-[0-9]{1,18})", re.ASCII)
_NO_STORE_PAGES: Headers = [("Cache-Control", "no-store")]


def serve_rendered_first(application: Application) -> "Front":
    """Return `application` behind the rendered pages."""
    return Front(application)


class Front:
    """Answers what is rendered; everything else goes to the application behind."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._shelf = Shelf(settings.STATUS_DIR)
        self._static = StaticFiles(settings.STATIC_ROOT, settings.STATIC_URL)
        self._session_cookie = re.compile(
            rf"(?:^|;)\s*{re.escape(settings.SESSION_COOKIE_NAME)}=[^;\s]"
        )
        self._asking = BoundedSemaphore(ASKING_AT_ONCE)
        self._ask_again_at = 0.0
        self._headers = security_headers()

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in {"GET", "HEAD"} and not _must_be_secure(environ):
            answer = self._answer(environ, start_response)
            if answer is not None:
                return answer
        return self._application(environ, start_response)

    def _answer(
        self, environ: Environ, start_response: Callable[..., Any]
    ) -> Iterable[bytes] | None:
        path: str = environ.get("PATH_INFO", "")
        if path == "/":
            return self._home(environ, start_response)
        if path.startswith(self._static.prefix):
            found = self._static.find(path)
            if found is None:
                return None
            headers = [("Cache-Control", found.cache_control)]
            return self._send(environ, start_response, found.page, headers)
        if path.startswith("/errors/"):
            return self._error(environ, start_response, path.removeprefix("/errors/"))
        generation = self._shelf.current()
        if path == "/status.css":
            return self._style(environ, start_response, generation)
        page = _public_page(generation, path) if generation else None
        if page is None:
            return None
        return self._send(environ, start_response, page, [("Cache-Control", PUBLIC_CACHE)])

    def _home(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        generation = self._shelf.current()
        cookies: str = environ.get("HTTP_COOKIE", "")
        given = cookie.read_header(cookies) if cookies else None
        now = time.time()
        if given and given.fresh(now):
            return self._send_home(environ, start_response, generation, given)
        if given or (cookies and self._session_cookie.search(cookies)):
            answer = self._ask(environ, start_response)
            if answer is not None:
                return answer
            if given and not given.in_grace(now):
                given = None
        return self._send_home(environ, start_response, generation, given)

    def _send_home(
        self,
        environ: Environ,
        start_response: Callable[..., Any],
        generation: Generation | None,
        given: cookie.Pass | None,
    ) -> Iterable[bytes]:
        """Send the page of whoever holds the pass, or the public one."""
        now = time.time()
        if generation is None:
            page = Page(pages.unpublished(), "text/html; charset=utf-8")
            return self._send(environ, start_response, page, _NO_STORE_PAGES)
        if given is not None:
            own = generation.page(f"customers/{given.customer:d}.html", now=now)
            if own is not None:
                return self._send(environ, start_response, own, personal_headers())
        page = generation.page("public/index.html", now=now) or Page(b"", "text/html")
        # One address, two pages: a browser must not show the one kept from before a sign-in.
        headers = [("Cache-Control", PUBLIC_CACHE), ("Vary", "Cookie")]
        return self._send(environ, start_response, page, headers)

    def _ask(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes] | None:
        """Return Django's answer; None when it cannot give one, or enough threads wait for it."""
        if time.monotonic() < self._ask_again_at or not self._asking.acquire(blocking=False):
            return None
        started: list[Any] = []

        def start(status: str, headers: Headers, exc_info: Any = None) -> None:
            started[:] = [status, headers]

        try:
            chunks = self._application(environ, start)
            try:
                body = b"".join(chunks)
            finally:
                close = getattr(chunks, "close", None)
                if close:
                    close()
        except Exception:
            logger.exception("Django could not be asked")
            started.clear()
        finally:
            self._asking.release()
        if not started or started[0].startswith("5"):
            self._ask_again_at = time.monotonic() + NOT_ASKED_S
            return None
        start_response(*started)
        return [body]

    def _style(
        self,
        environ: Environ,
        start_response: Callable[..., Any],
        generation: Generation | None,
    ) -> Iterable[bytes]:
        kind = "text/css; charset=utf-8"
        page = generation.public("status.css", kind) if generation else None
        lasting = page is not None and environ.get("QUERY_STRING")
        return self._send(
            environ,
            start_response,
            page or Page(pages.stylesheet(), kind),
            [("Cache-Control", STYLE_CACHE if lasting else PUBLIC_CACHE)],
        )

    def _error(
        self, environ: Environ, start_response: Callable[..., Any], code: str
    ) -> Iterable[bytes] | None:
        generation = self._shelf.current()
        if generation is None:
            return None
        given = cookie.read_header(environ.get("HTTP_COOKIE", ""))
        kind = ""
        if given and given.in_grace(time.time()):
            kind = generation.kind_of(given.customer)
        try:
            asked = errors.question(environ, code=code, kind=kind)
        except errors.BadQuestion as problem:
            answer = errors.refusal(problem)
        else:
            page = generation.error_page(asked.code, asked.kind)
            if page is None:
                return None
            answer = errors.answer(page, asked)
        length = ("Content-Length", str(len(answer.body)))
        start_response(
            _STATUS.get(answer.status, f"{answer.status} Error"), [*answer.headers, length]
        )
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]

    def _send(
        self,
        environ: Environ,
        start_response: Callable[..., Any],
        page: Page,
        headers: Headers,
    ) -> list[bytes]:
        gzipped = _takes_gzip(environ.get("HTTP_ACCEPT_ENCODING", ""))
        etag = f'"{page.etag}-gz"' if gzipped else f'"{page.etag}"'
        sent = [*self._headers, *_merged(headers), ("ETag", etag)]
        if _matches(environ.get("HTTP_IF_NONE_MATCH", ""), etag):
            start_response("304 Not Modified", sent)
            return []
        body = page.gzipped if gzipped else page.body
        sent += [("Content-Type", page.content_type), ("Content-Length", str(len(body)))]
        if gzipped:
            sent.append(("Content-Encoding", "gzip"))
        start_response("200 OK", sent)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


_STATUS = {200: "200 OK", 400: "400 Bad Request", 404: "404 Not Found"}


def personal_headers() -> Headers:
    """Return how a customer's own page may be kept: not at all, by nobody."""
    return [("Cache-Control", PRIVATE_CACHE), ("Vary", "Cookie")]


def security_headers() -> Headers:
    """Return the headers that Django's middleware would have set."""
    headers = [
        ("Content-Security-Policy", POLICY),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", settings.X_FRAME_OPTIONS),
        ("Referrer-Policy", settings.SECURE_REFERRER_POLICY or "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ]
    if settings.SECURE_HSTS_SECONDS:
        value = f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains; preload"
        headers.append(("Strict-Transport-Security", value))
    return headers


def _public_page(generation: Generation, path: str) -> Page | None:
    if path == "/index.json":
        return generation.public("index.json", "application/json")
    if match := _INCIDENT.fullmatch(path):
        return generation.page(f"public/i/{match[1]}.html", now=time.time())
    return None


def _must_be_secure(environ: Environ) -> bool:
    """Whether Django is to redirect this request to https."""
    if not settings.SECURE_SSL_REDIRECT or environ.get("wsgi.url_scheme") == "https":
        return False
    header = getattr(settings, "SECURE_PROXY_SSL_HEADER", None)
    return not (header and environ.get(header[0], "").split(",")[0].strip() == header[1])


def _merged(headers: Headers) -> Headers:
    """Add what an answer varies by because we compress it."""
    vary = ", ".join([*(value for name, value in headers if name == "Vary"), "Accept-Encoding"])
    return [*((name, value) for name, value in headers if name != "Vary"), ("Vary", vary)]


def _takes_gzip(accept: str) -> bool:
    if "gzip" not in accept:
        return False
    for part in accept.split(","):
        name, _, parameter = part.partition(";")
        if name.strip().lower() == "gzip":
            q = parameter.strip().removeprefix("q=")
            return not q or q.strip("0.") != ""
    return False


def _matches(if_none_match: str, etag: str) -> bool:
    """Compare weakly, as GET does: what a proxy weakened is still the same page."""
    if not if_none_match:
        return False
    given = (part.strip().removeprefix("W/") for part in if_none_match.split(","))
    return any(tag in {"*", etag} for tag in given)
