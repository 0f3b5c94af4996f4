"""The dashboard as an ASGI application: what lies at which address, and how errors are shown.

/                        the campaigns
/c/SLUG/                 overview
/c/SLUG/rankings         and rankings.csv, rankings.json, pareto.*
/c/SLUG/candidates/ID    and its plots, structure and tables
/c/SLUG/jobs             and jobs.csv, jobs.json
/c/SLUG/jobs/UUID        one job
/c/SLUG/failures
/c/SLUG/provenance
/c/SLUG/actions/KIND     POST, where actions are allowed
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from screening.errors import InvalidInput, NotFinished, ScreeningError
from workflows.commands import with_campaign
from workflows.dashboard import actions
from workflows.dashboard.pages import (
    candidate,
    candidate_files,
    failures,
    job,
    job_parts,
    jobs,
    overview,
    provenance,
    rankings,
)
from workflows.dashboard.rendering import Site, campaign_of, prefix_of, render, site_of
from workflows.dashboard.security import HEADERS, Guard, Keys
from workflows.dashboard.served import served

if TYPE_CHECKING:
    from starlette.requests import Request

_STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True)
class DashboardSettings:
    """What a dashboard shows, to whom.

    Args:
        campaigns: config files or results folders.
        token: that visitors must know; None where the loopback address alone decides.
        allow_actions: whether jobs can be retried, paused, resumed and cancelled from its pages.
        root_path: under which a proxy serves it.
    """

    campaigns: tuple[Path, ...]
    token: str | None = None
    allow_actions: bool = False
    root_path: str = ""


@dataclass(frozen=True)
class CampaignsView:
    """The first page where there are several campaigns: name in URLs and path of each."""

    campaigns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class MessageView:
    """A page that says one thing: what was found, and what to do."""

    title: str
    message: str
    hint: str = ""
    asks_token: bool = False
    is_live: bool = False


def create_app(settings: DashboardSettings) -> Starlette:
    """The dashboard of some campaigns."""
    keys = Keys(settings.token)
    pages = [
        Route("/", overview.overview),
        Route("/funnel.{ending}", overview.funnel_file),
        Route("/stages.{ending}", overview.stages_file),
        Route("/rankings", rankings.rankings),
        Route("/rankings.{ending}", rankings.rankings_file),
        Route("/pareto.{ending}", rankings.pareto_file),
        Route("/candidates/{id}", candidate.candidate),
        Route("/candidates/{id}/scene.json", candidate_files.scene_file),
        Route("/candidates/{id}/motion", candidate_files.motion_part),
        Route("/candidates/{id}/arrays/{name}", candidate_files.array_file),
        Route("/candidates/{id}/{file}", candidate_files.candidate_file),
        Route("/jobs", jobs.jobs),
        Route("/jobs.{ending}", jobs.jobs_file),
        Route("/jobs/{uuid}", job.job),
        Route("/jobs/{uuid}/log", job_parts.job_log),
        Route("/jobs/{uuid}/inputs", job_parts.job_inputs),
        Route("/jobs/{uuid}/steps/{file}", job_parts.job_plot),
        Route("/jobs/{uuid}/files/{name:path}", job_parts.job_file),
        Route("/jobs/{uuid}/ends/{name:path}", job_parts.job_file_end),
        Route("/failures", failures.failures),
        Route("/failures.{ending}", failures.failures_file),
        Route("/provenance", provenance.provenance),
        Route("/provenance/ingredients", provenance.ingredients_part),
        Route("/citations.bib", provenance.citations_file),
        Route("/campaign.yaml", provenance.config_file),
    ]
    if settings.allow_actions:
        pages += [
            Route("/actions/{kind}", actions.ask, methods=["GET"]),
            Route("/actions/{kind}", actions.act, methods=["POST"]),
        ]
    app = Starlette(
        routes=[
            Route("/", _campaigns),
            Mount("/static", StaticFiles(directory=_STATIC)),
            Mount("/c/{slug}", routes=pages),
        ],
        middleware=[Middleware(Guard, keys=keys, refusal=_refusal, root_path=settings.root_path)],
        exception_handlers={
            HTTPException: _http_error,
            ScreeningError: _expected_error,
            sqlite3.Error: _store_error,
            OSError: _file_error,
            Exception: _bug,
        },
    )
    app.state.site = Site(
        served(settings.campaigns), keys, settings.allow_actions, version("halideflow")
    )
    return app


def _campaigns(request: Request) -> Response:
    campaigns = site_of(request).campaigns
    if len(campaigns) == 1:
        (slug,) = campaigns
        return RedirectResponse(f"{prefix_of(request)}/c/{slug}/", status_code=307)
    shown = tuple((slug, str(campaign.path)) for slug, campaign in campaigns.items())
    return render(request, "campaigns.html", CampaignsView(shown))


def _refusal(request: Request, status: int, message: str, hint: str) -> Response:
    view = MessageView("Not allowed", message, hint, asks_token=status == 401)
    return render(request, "message.html", view, status)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    title = "Not found" if error.status_code == 404 else "Not possible"
    view = MessageView(title, error.detail, "The links above lead to what there is.")
    return render(request, "message.html", view, error.status_code)


def _expected_error(request: Request, error: Exception) -> Response:
    """What the read model says where it cannot answer; invalid is what an address asks for."""
    if isinstance(error, NotFinished):
        message = with_campaign(str(error), campaign_of(request).path.absolute())
        view = MessageView("Nothing yet", message, "This page looks again by itself.", is_live=True)
        return render(request, "message.html", view)
    if isinstance(error, InvalidInput):
        return render(request, "message.html", MessageView("Cannot be shown", str(error)), 404)
    view = MessageView("Cannot be shown now", str(error), is_live=True)
    return render(request, "message.html", view, 503)


def _store_error(request: Request, error: Exception) -> Response:
    file = campaign_of(request).folder.database
    message = f"{file}: {error}"
    hint = (
        "If the file is locked, this page comes back by itself. If it is damaged, move it away and "
        "run the campaign again."
    )
    return render(
        request,
        "message.html",
        MessageView("Results cannot be read", message, hint, is_live=True),
        503,
    )


def _file_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)
    message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    view = MessageView("A file cannot be read", message, is_live=True)
    return render(request, "message.html", view, 503)


def _bug(request: Request, error: Exception) -> Response:
    """Starlette raises it again after the answer, so that its traceback is logged."""
    view = MessageView(
        "Something went wrong here",
        f"{type(error).__name__} while this page was made; its traceback is where the dashboard "
        "was started.",
        "The other pages go on working.",
    )
    answer = render(request, "message.html", view, 500)
    answer.headers.update(HEADERS)  # it comes from outside of the guard
    return answer
