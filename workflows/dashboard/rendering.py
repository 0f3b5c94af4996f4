"""From a page's view to HTML: Jinja2 that escapes everything."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from workflows import words
from workflows.templates import templates_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    import jinja2
    from starlette.requests import Request

    from workflows.dashboard.security import Keys
    from workflows.dashboard.served import ServedCampaign

_HERE = Path(__file__).parent
_SAFE_IN_PATH = "/~!$&'()*+,;=:@"


@dataclass(frozen=True)
class Site:
    """What all pages share.

    Args:
        campaigns: by their names in URLs.
        keys: of this process.
        allow_actions: whether pages offer retry, pause, resume and cancel.
        version: of Halideflow, so that browsers fetch scripts and styles anew with each.
    """

    campaigns: Mapping[str, ServedCampaign]
    keys: Keys
    allow_actions: bool
    version: str


def site_of(request: Request) -> Site:
    """What all pages share."""
    site: Site = request.app.state.site
    return site


def campaign_of(request: Request) -> ServedCampaign:
    """The campaign that the URL names.

    Raises:
        HTTPException: 404, there is none.
    """
    slug = request.path_params["slug"]
    try:
        return site_of(request).campaigns[slug]
    except KeyError:
        raise HTTPException(404, f"No campaign {slug!r} is shown here.") from None


def prefix_of(request: Request) -> str:
    """The path under which a proxy serves the dashboard; empty where it is at the top."""
    scope = request.scope
    return str(scope.get("app_root_path", scope.get("root_path", ""))).rstrip("/")


def own_address(request: Request) -> str:
    """Path and query of what is asked for, without the token, as they stand in a link.

    The path starts with a single slash: two would lead a browser to another host.
    """
    prefix = prefix_of(request)
    path = quote(request.scope["path"].removeprefix(prefix).lstrip("/\\"), safe=_SAFE_IN_PATH)
    query = urlencode([(k, v) for k, v in request.query_params.multi_items() if k != "token"])
    return f"{prefix}/{path}?{query}" if query else f"{prefix}/{path}"


def render(request: Request, template: str, view: Any, status: int = 200) -> HTMLResponse:
    """A page.

    Args:
        request: what is answered.
        template: its file.
        view: the page's dataclass; the template sees it as `view`.
        status: of HTTP.
    """
    slug = request.path_params.get("slug")
    here = own_address(request)
    html = (
        _environment()
        .get_template(template)
        .render(
            view=view,
            site=site_of(request),
            campaign=slug if slug in site_of(request).campaigns else None,
            prefix=prefix_of(request),
            here=here,
            path=here.split("?")[0],
            now=time.time(),
        )
    )
    return HTMLResponse(html, status)


@cache
def _environment() -> jinja2.Environment:
    environment = templates_in(_HERE / "templates")
    environment.filters.update(duration=words.duration, powers=words.powers)
    return environment
