"""`cluster`: clusters that jobs can be sent to, made known to jobflow-remote and listed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workflows.cli.common import EXIT_CODES, Commands, Json, print_json

if TYPE_CHECKING:
    from workflows.cluster.project import KnownCluster
    from workflows.cluster.settings import ClusterSettings

app = typer.Typer(
    name="cluster",
    help="Clusters that `submit` can send jobs to: init, list, schema.",
    cls=Commands,
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.command("init")
def init_cluster(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="The cluster's file; configs/clusters/ has examples.",
            show_default=False,
        ),
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Also over a project file that was edited by hand.")
    ] = False,
) -> None:
    """Make the cluster of FILE known, as a project of jobflow-remote."""
    from workflows.cluster.project import write_project
    from workflows.cluster.settings import load_cluster

    cluster = load_cluster(file)
    written = write_project(cluster, overwrite=force)
    typer.echo(f"{cluster.name}: {_summary(cluster)}\njobflow-remote's project: {written}\nNext:")
    if user := cluster.queue_database.username:
        typer.echo(f"  export HALIDEFLOW_MONGO_PASSWORD=...  of {user} at the queue database")
    typer.echo(
        f"  execution: {{cluster: {cluster.name}}}  in the campaign's file\n"
        "  halideflow doctor CAMPAIGN  tries everything there, up to a job through the queue"
    )


@app.command("list")
def list_clusters(as_json: Json = False) -> None:
    """The clusters there are."""
    from workflows.cluster.project import known_clusters, projects_folder

    known = known_clusters()
    if as_json:
        print_json([_as_json(cluster) for cluster in known])
        return
    if not known:
        typer.echo(
            f"no cluster in {projects_folder()}; `halideflow cluster init FILE` makes one known"
        )
    for cluster in known:
        typer.echo(f"{cluster.settings.name}: {_summary(cluster.settings)}; {cluster.file}")


@app.command("schema")
def print_schema() -> None:
    """Print the JSON Schema of a cluster's file, from which editors complete."""
    from workflows.cluster.settings import ClusterSettings

    draft = "https://json-schema.org/draft/2020-12/schema"
    print_json({"$schema": draft, **ClusterSettings.model_json_schema()})


def _summary(cluster: ClusterSettings) -> str:
    through = f"over ssh to {cluster.host.address}" if cluster.host else "from this machine"
    return f"{cluster.scheduler} {through}, workers {', '.join(cluster.workers)}"


def _as_json(cluster: KnownCluster) -> dict[str, Any]:
    settings = cluster.settings
    return {
        "name": settings.name,
        "scheduler": settings.scheduler,
        "host": settings.host.address if settings.host else None,
        "workers": list(settings.workers),
        "file": str(cluster.file),
    }
