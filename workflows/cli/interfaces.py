"""`interfaces`: reactions of candidates with electrodes and with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from screening.errors import InvalidInput, NotFinished
from workflows.cli.common import CampaignOrResults, Json, print_json
from workflows.cli.results import open_results

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import RenderableType

    from screening.stability.documents import Interface
    from screening.stability.interfaces import Interfaces
    from screening.stability.reactants import Reactant
    from screening.stability.references import ReferencePhases
    from workflows.read_model import CampaignResults

_WIDE = 120
_MISSING_SHOWN = 20
_LEGEND = (
    "meV/atom where the reaction is worst over the mixing ratio x (atomic fraction of the "
    "candidate); in brackets, or under mutual: what both gain beyond decomposing on their own. "
    "closed: nothing but the two. open: to the alkali metal, at the electrode's open-circuit "
    "potential and at those asked for; such energies and fractions count the other atoms only."
)


class _Candidate(NamedTuple):
    """A candidate that has been relaxed."""

    id: str
    mobile_ion: str
    reactant: Reactant


def interfaces(
    campaign: CampaignOrResults,
    identifiers: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...", help="Candidates, as in `rank`; one of them shows all kinks."
        ),
    ] = None,
    electrodes: Annotated[
        list[str] | None,
        typer.Option(
            "--electrode",
            metavar="NAME",
            help="An electrode, a metal or another phase of the snapshot; repeat for several. "
            "Default: all electrodes of each candidate's mobile ion, its metal included.",
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Another candidate as the partner; repeat for several."),
    ] = None,
    potentials_V: Annotated[
        list[float] | None,
        typer.Option(
            "--potential",
            metavar="V",
            help="Open to the alkali metal at this potential against it; repeat for several.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Reaction energies of candidates with electrodes, with products and the worst case."""
    from screening.prototypes.electrodes import electrode_names
    from screening.stability.references import ReferencePhases
    from workflows.config import StabilitySettings

    results = open_results(campaign)
    # as the energies were run: what the path of a snapshot is relative to may have moved since
    settings = StabilitySettings(**results.last_config["stability"])
    references = ReferencePhases.load(settings.references)
    relaxed = _relaxed(results)
    partners = [_one_of(relaxed, identifier, results).reactant for identifier in against or ()]
    _check_names(electrodes or (), references)
    found: dict[_Candidate, Interfaces] = {}
    for candidate in _with_progress(_chosen(relaxed, identifiers, results)):
        usual = dict.fromkeys([*electrode_names(candidate.mobile_ion), candidate.mobile_ion])
        found[candidate] = _computed(
            candidate,
            references,
            [*(electrodes or ([] if against else usual)), *partners],
            potentials_V or (),
            settings.raw_halide_energies,
        )
    if as_json:
        print_json(
            [
                {
                    "id": candidate.id,
                    "formula": candidate.reactant.composition.reduced_formula,
                    "mobile_ion": candidate.mobile_ion,
                    "interfaces": [i.model_dump(mode="json") for i in answer.computed],
                    "left_out": answer.left_out,
                    "missing_phases": answer.missing_phases,
                    "caveats": answer.caveats,
                }
                for candidate, answer in found.items()
            ]
        )
        return
    _print(results.name, found, detailed=bool(identifiers) and len(found) == 1)


def _with_progress(candidates: list[_Candidate]) -> Iterable[_Candidate]:
    """A bar on terminals: hundreds of candidates with oxides of seven elements take minutes."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(
        candidates, "interfaces", console=console, transient=True, disable=not console.is_terminal
    )


def _relaxed(results: CampaignResults) -> dict[str, _Candidate]:
    """Candidates that have an energy, in the order of the ranking."""
    from screening.stability.reactants import Reactant

    documents = results.relaxed()
    relaxed = {}
    for row in results.ranking():
        document = documents.get(row.id)
        if document is not None and (relaxation := document.result) is not None:
            reactant = Reactant(
                name=row.id,
                composition=relaxation.structure.composition,
                energy_eV_per_atom=relaxation.energy_eV_per_atom,
                convention=relaxation.convention,
            )
            relaxed[row.id] = _Candidate(row.id, row.mobile_ion, reactant)
    return relaxed


def _chosen(
    relaxed: dict[str, _Candidate], identifiers: list[str] | None, results: CampaignResults
) -> list[_Candidate]:
    if identifiers:
        return [_one_of(relaxed, identifier, results) for identifier in dict.fromkeys(identifiers)]
    if not relaxed:
        raise NotFinished(
            f"{results.name}: no candidate is relaxed yet; `halideflow status` says how far it is"
        )
    return list(relaxed.values())


def _one_of(
    relaxed: dict[str, _Candidate], identifier: str, results: CampaignResults
) -> _Candidate:
    if identifier not in relaxed:
        row = results.candidate(identifier).row  # InvalidInput if there is no such candidate
        message = (
            f"{identifier}: has no relaxed energy ({row.stage}: {row.state}); "
            f"`halideflow show CAMPAIGN {identifier}` says more"
        )
        raise (NotFinished if row.state in ("waiting", "running") else InvalidInput)(message)
    return relaxed[identifier]


def _check_names(names: Iterable[str], references: ReferencePhases) -> None:
    """A name that nobody knows is a slip of the pen; a known one may lack an energy."""
    from screening.prototypes.electrodes import electrode_names
    from screening.stability.reactants import find_electrode, phases_called

    for name in names:
        if not (find_electrode(name) or phases_called(name, references)):
            raise InvalidInput(
                f"--electrode {name}: neither an electrode nor a phase of the snapshot; electrodes "
                f"are {', '.join(electrode_names())}"
            )


def _computed(
    candidate: _Candidate,
    references: ReferencePhases,
    partners: list[Reactant | str],
    potentials_V: Iterable[float],
    raw_halide_energies: bool,
) -> Interfaces:
    from screening.errors import MissingCorrection, MissingReference
    from screening.stability.interfaces import Interfaces
    from screening.stability.interfaces import interfaces as compute

    try:
        return compute(
            candidate.reactant,
            references,
            candidate.mobile_ion,
            partners,
            potentials_V,
            raw_halide_energies=raw_halide_energies,
        )
    except (
        MissingReference,
        MissingCorrection,
    ) as error:  # of the candidate itself; others may have none
        return Interfaces(left_out={candidate.id: str(error)})


def _print(name: str, found: dict[_Candidate, Interfaces], detailed: bool) -> None:
    from rich.console import Console

    console = Console()
    if detailed:
        ((candidate, answer),) = found.items()
        for section in _details(candidate, answer):
            console.print(section)
    else:
        console.print(_table(name, found, reactions=console.width >= _WIDE))
    console.print(_LEGEND, style="dim", highlight=False)
    for caveat in {caveat: 0 for answer in found.values() for caveat in answer.caveats}:
        console.print(caveat, highlight=False, markup=False)
    lacking = sorted(
        {f for answer in found.values() for m in answer.missing_phases.values() for f in m}
    )
    if lacking:
        more = len(lacking) - _MISSING_SHOWN
        console.print(
            f"known, but not in the snapshot, so never a product: "
            f"{', '.join(lacking[:_MISSING_SHOWN])}"
            f"{f' and {more} more (--json names all)' if more > 0 else ''}",
            highlight=False,
            markup=False,
        )
    for reason in {reason: 0 for answer in found.values() for reason in answer.left_out.values()}:
        console.print(f"left out: {reason}", highlight=False, markup=False)


def _table(name: str, found: dict[_Candidate, Interfaces], reactions: bool) -> RenderableType:
    """Each candidate with its partners below it, one line a pair, potentials below each other."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from workflows.cli.tables import UNKNOWN

    table = Table(title=name, header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("candidate\n  with", no_wrap=True)
    table.add_column("closed", justify="right", no_wrap=True)
    table.add_column("open", justify="right", no_wrap=True)
    table.add_column("worst reaction, closed" if reactions else "products, closed")
    for candidate, answer in found.items():
        pairs: dict[str, list[Interface]] = {}
        for interface in answer.computed:
            pairs.setdefault(interface.partner, []).append(interface)
        table.add_row(candidate.id, style="bold")
        for partner, (closed, *opened) in pairs.items():
            table.add_row(
                f"  {partner}",
                _energies(closed),
                "\n".join(f"{i.potential_V:.2f} V: {_energies(i)}" for i in opened) or UNKNOWN,
                closed.reaction if reactions else " + ".join(closed.products),
            )
        for partner in answer.left_out:
            table.add_row(f"  {partner}", UNKNOWN, UNKNOWN, "left out, see below", style="dim")
        table.add_section()
    return table


def _energies(interface: Interface) -> str:
    """In meV/atom; the mutual part only where it is another number."""
    worst_meV = round(1000 * interface.worst_energy_eV_per_atom)
    mutual_meV = round(1000 * interface.worst_mutual.mutual_energy_eV_per_atom)
    return f"{worst_meV}" if worst_meV == mutual_meV else f"{worst_meV} ({mutual_meV})"


def _details(candidate: _Candidate, answer: Interfaces) -> Iterator[RenderableType]:
    """Every kink of every interface, the worst in bold."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    for interface in answer.computed:
        condition = (
            "closed"
            if interface.potential_V is None
            else f"open at {interface.potential_V:g} V against {candidate.mobile_ion}"
        )
        table = Table(
            title=f"{candidate.id} with {interface.partner}, {condition}",
            title_justify="left",
            title_style="bold",
            box=SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
        )
        table.add_column("x", justify="right")
        table.add_column("meV/atom", justify="right")
        table.add_column("mutual", justify="right")
        table.add_column("reaction", overflow="fold")
        for kink in interface.kinks:
            table.add_row(
                f"{kink.mixing_fraction:.3f}",
                f"{1000 * kink.energy_eV_per_atom:.1f}",
                f"{1000 * kink.mutual_energy_eV_per_atom:.1f}",
                Text(kink.reaction),
                style="bold" if kink.mixing_fraction == interface.mixing_fraction else None,
            )
        yield table
