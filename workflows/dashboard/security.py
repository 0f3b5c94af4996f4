"""Who may see the dashboard, and what its pages may do in a browser.

Without a token only requests to this machine by name are answered, so that no other site can have a
browser read the pages under a name of its own. With one, a browser shows it once, in the URL or in
a form, and gets a cookie that does not contain it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from workflows.dashboard.rendering import own_address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
"""This machine, as addresses name it."""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with none at all, browsers hide where forms come from
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every answer."""
_LARGEST_FORM_BYTES = 64_000
_COOKIE_AGE_S = 30 * 86_400


@dataclass(frozen=True)
class Keys:
    """Secrets of one process that serves the dashboard.

    Args:
        token: that a visitor must know; None where the address alone decides.
    """

    token: str | None = None
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    @property
    def form_key(self) -> str:
        """What every form that changes something carries: no other site can read it."""
        return self._of("form")

    @property
    def cookie_name(self) -> str:
        """Cookies are shared by all ports of a host: each dashboard has a name of its own."""
        return f"halideflow-{self._of('name')[:8]}"

    @property
    def cookie(self) -> str:
        """What a browser keeps that has shown the token."""
        return self._of("cookie")

    def is_token(self, text: str) -> bool:
        """Compared in constant time."""
        return self.token is not None and _equal(text, self.token)

    def is_cookie(self, text: str) -> bool:
        """Compared in constant time."""
        return _equal(text, self.cookie)

    def is_form_key(self, text: str) -> bool:
        """Compared in constant time."""
        return _equal(text, self.form_key)

    def _of(self, purpose: str) -> str:
        return hmac.new(self._secret, purpose.encode(), hashlib.sha256).hexdigest()


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


class Guard:
    """ASGI middleware: lets visitors in, and puts the headers on every answer.

    Args:
        app: that answers them.
        keys: of this process.
        refusal: page with a status, a message and a hint.
        root_path: under which a proxy serves `app`, whether or not it takes that off addresses.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: Keys,
        refusal: Callable[[Request, int, str, str], Response],
        root_path: str = "",
    ) -> None:
        self._app = app
        self._keys = keys
        self._refusal = refusal
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        if not f"{scope['path']}/".startswith(f"{self._root_path}/"):
            scope["path"] = self._root_path + scope["path"]
        scope["root_path"] = self._root_path
        request = Request(scope, receive)
        answer = await self._answer(request)
        await (answer or self._app)(scope, receive, send_with_headers)

    async def _answer(self, request: Request) -> Response | None:
        """None: whoever asks may go on."""
        keys = self._keys
        if keys.token is None:
            host = _host(request.headers)
            if host not in LOOPBACK_HOSTS:
                text = f"This dashboard answers to {', '.join(LOOPBACK_HOSTS)}, not to {host!r}."
                hint = "To be reached by another name it needs a token: start it with --token."
                return self._refusal(request, 421, text, hint)
            return None
        if request.scope["path"].startswith(
            f"{self._root_path}/static/"
        ):  # the same for everybody, everywhere
            return None
        if keys.is_cookie(request.cookies.get(keys.cookie_name, "")):
            return None if "token" not in request.query_params else self._enter(request)
        shown = request.query_params.get("token")
        if request.method == "POST" and shown is None:
            shown = (await read_form(request)).get("token")
        if shown is not None and keys.is_token(shown):
            return self._enter(request)
        wrong = "That is not the token. " if shown is not None else ""
        return self._refusal(
            request,
            401,
            f"{wrong}This dashboard needs its token.",
            "It is in the address that `halideflow dashboard` printed when it started.",
        )

    def _enter(self, request: Request) -> Response:
        """To the same page, without the token in its address."""
        answer = RedirectResponse(own_address(request), status_code=303)
        answer.set_cookie(
            self._keys.cookie_name,
            self._keys.cookie,
            max_age=_COOKIE_AGE_S,
            path=self._root_path or "/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return answer


def _host(headers: Headers) -> str:
    """Without the port."""
    host = headers.get("host", "")
    return host if host.endswith("]") else host.rsplit(":", 1)[0] if ":" in host else host


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, the last of each name; nothing of one that is too large."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_FORM_BYTES:
            return {}
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))


def is_from_our_page(request: Request, form: Mapping[str, str], keys: Keys) -> bool:
    """Whether a form was sent from a page of ours, not from another site's."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        return False
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    return keys.is_form_key(form.get("form_key", ""))
