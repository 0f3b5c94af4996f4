"""From a page's view to HTML: Jinja2 that escapes everything, and how numbers are written."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import jinja2
from markupsafe import Markup, escape
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from workflows.dashboard.security import Keys
    from workflows.dashboard.served import ServedCampaign

_HERE = Path(__file__).parent
_SAFE_IN_PATH = "/~!$&'()*+,;=:@"
UNKNOWN = "–"


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
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        formula=formula,
        number=number,
        fixed=fixed,
        interval=interval,
        scientific=scientific,
        powers=powers,
        when=when,
        duration=duration,
        thousands=thousands,
    )
    return environment


def formula(text: str) -> Markup:
    """A chemical formula, or a text with formulas such as a reaction, its digits as indices."""
    escaped = str(escape(text))  # Markup would escape what is put into it
    return Markup(re.sub(r"(?<=[A-Za-z)\]])(\d+(?:\.\d+)?)", r"<sub>\1</sub>", escaped))


def number(value: float | None, digits: int = 3) -> str:
    """So many significant digits."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{value:.{digits}g}".replace("-", "−")


def fixed(value: float | None, decimals: int = 2) -> str:
    """So many decimals."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{value:.{decimals}f}".replace("-", "−")


def interval(bounds: tuple[float, float] | None, decimals: int = 2) -> str:
    """Both ends, with so many decimals."""
    return (
        UNKNOWN if bounds is None else f"{fixed(bounds[0], decimals)}…{fixed(bounds[1], decimals)}"
    )


def scientific(value: float | None, digits: int = 2) -> Markup:
    """`1.2 × 10⁻⁵`; what is near one as it is."""
    if value is None or not math.isfinite(value):
        return Markup(UNKNOWN)
    if value == 0 or 0.01 <= abs(value) < 10_000:
        return Markup(escape(number(value, digits)))
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return Markup(
        f"{mantissa.replace('-', '−')} × 10<sup>{str(int(exponent)).replace('-', '−')}</sup>"
    )


def powers(bounds: tuple[float, float] | None, digits: int = 2) -> Markup:
    """Both ends of an interval; `4.2…6.2 × 10⁻⁵` where they share a power of ten."""
    if bounds is None:
        return Markup(UNKNOWN)
    ends = [f"{bound:.{digits - 1}e}".partition("e")[::2] for bound in bounds]
    (low, exponent), (_, other) = ends
    low_text, high_text = (scientific(bound, digits) for bound in bounds)
    if exponent == other and "10<sup>" in low_text and "10<sup>" in high_text:
        low_text = Markup(escape(low.replace("-", "−")))
    return low_text + "…" + high_text


def when(at: float | None) -> Markup:
    """A moment in the server's time zone, to the second for machines and as a title."""
    if at is None:
        return Markup(UNKNOWN)
    moment = time.localtime(at)
    exact = time.strftime("%Y-%m-%dT%H:%M:%S%z", moment)
    return Markup(f'<time datetime="{exact}">{time.strftime("%Y-%m-%d %H:%M", moment)}</time>')


def duration(seconds: float | None) -> str:
    """The two largest units that it has."""
    if seconds is None:
        return UNKNOWN
    whole = round(max(seconds, 0))
    for size, name, smaller, of_smaller in (
        (86_400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // smaller
            return (
                f"{whole // size} {name} {rest} {of_smaller}" if rest else f"{whole // size} {name}"
            )
    return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"


def thousands(count: int) -> str:
    """With thin spaces between groups of three."""
    return f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
