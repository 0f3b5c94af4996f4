"""`prototypes`: the hosts that families can name."""

from __future__ import annotations

from workflows.cli.common import Json, print_json


def prototypes(as_json: Json = False) -> None:
    """List the host prototypes that a family can name, with their cells and sources."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from screening.prototypes.library import load_prototype, prototype_names

    hosts = [load_prototype(name) for name in prototype_names()]
    if as_json:
        print_json([host.model_dump(mode="json") for host in hosts])
        return
    console = Console()
    for host in hosts:
        sites = ", ".join(
            f"{host.n_sites(role)} {role}"
            for role in ("mobile", "framework", "anion", "vacant", "hydrogen")
            if host.n_sites(role)
        )
        console.print(Text.assemble((host.name, "bold"), f"  {host.formula}, {host.space_group}"))
        console.print(Padding(Text(f"{host.about}; sites a cell: {sites}"), (0, 0, 0, 4)))
    console.print(
        "\nCells are conventional ones, which `supercell` counts; --json has their coordinates and "
        "sources.",
        highlight=False,
    )
