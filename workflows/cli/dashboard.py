"""`halideflow dashboard`: campaigns in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from screening.errors import InvalidInput

_PORT = 8765


def dashboard(
    campaigns: Annotated[
        list[Path],
        typer.Argument(
            metavar="CAMPAIGN…", help="Config files or results folders.", show_default=False
        ),
    ],
    host: Annotated[
        str, typer.Option(help="Address to listen at; any but this machine's own needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes one that is free.")] = _PORT,
    allow_actions: Annotated[
        bool,
        typer.Option(
            "--allow-actions", help="Let pages retry, pause, resume and cancel; needs a token."
        ),
    ] = False,
    with_token: Annotated[
        bool,
        typer.Option("--token", help="Ask for a token at this machine's own address, too."),
    ] = False,
    root_path: Annotated[
        str, typer.Option(help="Path under which a proxy serves it, e.g. /halideflow.")
    ] = "",
) -> None:
    """Show campaigns in a browser, live while they run: how far, why, what came out.

    Read-only unless --allow-actions is given. Whoever can log in to this machine can open a page
    without a token. HALIDEFLOW_DASHBOARD_TOKEN sets the token; else it is new with each start.
    """
    import os

    from workflows.dashboard.app import DashboardSettings
    from workflows.dashboard.security import LOOPBACK_HOSTS
    from workflows.dashboard.server import new_token, serve

    for path in campaigns:
        if not path.exists():
            raise InvalidInput(f"{path}: there is no such config file or results folder")
    if root_path and not root_path.startswith("/"):
        raise InvalidInput(f"--root-path {root_path}: must start with a slash")
    where = f"[{host}]" if ":" in host else host
    token = None
    if with_token or allow_actions or where not in LOOPBACK_HOSTS:
        token = os.environ.get("HALIDEFLOW_DASHBOARD_TOKEN") or new_token()
    settings = DashboardSettings(tuple(campaigns), token, allow_actions, root_path.rstrip("/"))

    def tell(port: int) -> None:
        query = f"?token={token}" if token else ""
        typer.echo(f"http://{where}:{port}{settings.root_path}/{query}")
        typer.echo(
            f"from another machine: ssh -L {port}:127.0.0.1:{port} {os.uname().nodename}, then the "
            "same address there; Ctrl-C stops it",
            err=True,
        )

    serve(settings, host, port, tell)
