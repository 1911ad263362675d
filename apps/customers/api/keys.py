"""What every address for programs does: ask for a key, answer JSON, word each error in the one form."""

from collections.abc import Sequence
from typing import Any

import orjson
from django.db import DatabaseError, InterfaceError
from django.http import Http404, HttpResponse
from django.http.request import UnreadablePostError
from django.utils import timezone
from rest_framework.exceptions import APIException
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.accounts.models import ApiKey, Scope


class Refusal(Exception):
    """The request is not answered; `status` says why to a program, the words to a person."""

    def __init__(self, status: int, code: str, message: str, hint: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.hint, self.more = (
            status,
            code,
            message,
            hint,
            more,
        )


class KeyView(APIView):  # type: ignore[misc]  # DRF brings no types
    """An address for keys: no session, no cookie; errors in the API's one form."""

    authentication_classes: Sequence[Any] = ()
    permission_classes: Sequence[Any] = ()
    parser_classes: Sequence[Any] = ()  # each address reads its body itself, with its own limits
    renderer_classes = (JSONRenderer,)
    key: ApiKey

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002  (DRF's signature)
        """Answer JSON whatever is asked for."""
        return JSONRenderer(), JSONRenderer.media_type

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Let only keys pass that may read, or manage when something is written."""
        super().initial(request, *args, **kwargs)
        if request.method is not None and request.method.lower() not in self.http_method_names:
            return
        writes = request.method not in {"GET", "HEAD", "OPTIONS"}
        scopes = [Scope.MANAGE] if writes else [Scope.READ, Scope.MANAGE]
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Refusal(401, "no_key", "There is no API key", "Send Authorization: Bearer KEY.")
        now = timezone.now()
        for scope in scopes:
            if key := ApiKey.objects.authenticate(token.strip(), scope=scope, now=now):
                self.key = key
                return
        raise Refusal(
            401, "bad_key", f"This API key is not known, is revoked, or may not {scopes[0]}",
            f"Ask an administrator for a key with the scope {scopes[0]}.",
        )  # fmt: skip

    def handle_exception(self, exc: Exception) -> HttpResponse:
        """Word every error in the one form."""
        if isinstance(exc, Refusal):
            found = exc
        elif isinstance(exc, Http404):
            found = Refusal(404, "not_found", "There is no such customer", "Check the id.")
        elif isinstance(exc, APIException):
            found = Refusal(
                exc.status_code, str(exc.get_codes()), str(exc.detail), "See the documentation."
            )
        elif isinstance(exc, UnreadablePostError):
            found = Refusal(400, "cut_off", "The body ended before its end", "Send it again.")
        elif isinstance(exc, DatabaseError | InterfaceError):
            found = Refusal(
                503,
                "unavailable",
                "The database did not take it; nothing was applied",
                "Send it again later.",
            )
        else:
            raise exc
        answer = answer_json(
            {
                "error": {"code": found.code, "message": found.message, "hint": found.hint},
                **found.more,
            },
            found.status,
        )
        if found.status == 401:
            answer["WWW-Authenticate"] = 'Bearer realm="customers"'
        if found.status == 503:
            answer["Retry-After"] = "5"
        if found.status == 405:
            answer["Allow"] = ", ".join(self.allowed_methods)
        return answer


def answer_json(told: Any, status: int = 200) -> HttpResponse:
    """Return the answer as JSON that nobody keeps."""
    return HttpResponse(
        orjson.dumps(told),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
