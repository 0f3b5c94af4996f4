"""The methods of a campaign in words, from what was really run, with its sources.

A source stands in the text as `[@key]`, the key of a Citation; whoever shows it makes numbers of
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from screening.candidate_settings import XRange
from screening.gates import Gates
from workflows.citations import ENTHALPIES
from workflows.funnel import gate_label

if TYPE_CHECKING:
    from screening.candidate_settings import Family, Substitution
    from workflows.citations import Citation
    from workflows.config import DynamicsSettings
    from workflows.ingredients import Ingredients
    from workflows.vasp_settings import CalculationSettings

_MARK = re.compile(r"\[@([^\]]+)\]")
_MARKS = re.compile(r"(?:\[@[^\]]+\])+")
_MARK_AND_SPACE = re.compile(r" ?\[@([^\]]+)\]")
SOFT_FORCES = (
    "CHGNet softens forces (slope 0.6 against PBE for KTaCl6 at 600 K), so that barriers come out "
    "low and diffusivities high: take them as a first sieve. "
)
_OUTCOMES = {
    "converged": "ended at the relative error asked for",
    "bound_rejects": "ended at an upper bound that a gate rejects",
    "budget": "used up their longest time",
    "melted": "ended because the framework moved",
    "exploded": "exploded",
    "drifted": "ended because their conserved energy drifted",
    "failed": "ended with a failure of the program",
}


@dataclass(frozen=True)
class Paragraph:
    """Of the methods."""

    heading: str
    text: str


def methods(used: Ingredients, sources: Sequence[Citation]) -> tuple[Paragraph, ...]:
    """What was done, in the order in which it is done; what was not got to is said so.

    Args:
        used: what the results were made with.
        sources: of the same.
    """
    known = {source.key for source in sources}
    hosts: dict[str, list[str]] = {}
    for source in sources:
        for host in source.hosts:
            hosts.setdefault(host, []).append(source.key)
    paragraphs = [
        Paragraph("Candidates", _candidates(used, hosts)),
        Paragraph("Energies and relaxation", _relaxation(used)),
        Paragraph("Stability", _stability(used, [s.key for s in sources if ENTHALPIES in s.why])),
        Paragraph("Molecular dynamics", _dynamics(used)),
        Paragraph("Diffusivity and conductivity", _transport(used)),
        Paragraph("Glasses", _glasses(used)),
        Paragraph("Gates and ranking", _ranking(used)),
        Paragraph("Software", _software(used)),
    ]

    def only_known(text: str) -> str:
        return _MARK_AND_SPACE.sub(lambda mark: mark[0] if mark[1] in known else "", text)

    return tuple(Paragraph(p.heading, only_known(p.text)) for p in paragraphs if p.text)


def in_order(paragraphs: Iterable[Paragraph], sources: Sequence[Citation]) -> list[Citation]:
    """Sources in the order in which the text names them; those that it does not name follow."""
    by_key = {source.key: source for source in sources}
    named = [key for p in paragraphs for key in _MARK.findall(p.text) if key in by_key]
    return [by_key[key] for key in dict.fromkeys([*named, *by_key])]


def pieces(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Text by turns with the keys of the sources behind it."""
    parts = _MARKS.split(text)
    keys = [tuple(_MARK.findall(marks)) for marks in (*_MARKS.findall(text), "")]
    return list(zip(parts, keys, strict=True))


def _candidates(used: Ingredients, hosts: Mapping[str, Sequence[str]]) -> str:
    asked = used.config.candidates
    said = [_family(family, hosts) for family in asked.families]
    said += [_substitution(substitution) for substitution in asked.substitutions]
    if files := [file.path for file in asked.files]:
        said.append(f"the structures {_listed(files)}")
    given = any(origin.n_orderings > 1 for origin in used.origins)
    text = f"{used.n_candidates} candidates came from {'; '.join(said)}. "
    if asked.families or asked.substitutions:
        text += (
            "Only neutral compositions were taken, with oxidation states from the statistics of "
            "the ICSD. "
        )
    if asked.families:
        text += "Cells of prototypes were scaled with ionic radii [@shannon1976]. "
    if given:
        text += (
            "Partly occupied sites were ordered in every way that symmetry tells apart [@moyopy], "
            "each with its degeneracy. "
        )
    return text + "[@hart2008][@hautier2011]"


def _family(family: Family, hosts: Mapping[str, Sequence[str]]) -> str:
    choices = "; ".join(
        f"{letter} = {', '.join(map(_choice, options))}"
        for letter, options in family.elements.items()
    )
    text = f"the family {family.formula}"
    if choices:
        text += f" ({choices})"
    if isinstance(family.x, XRange):
        text += f" with x from {family.x.min:g} to {family.x.max:g}"
    elif family.x:
        text += f" with x = {_listed(f'{x:g}' for x in family.x)}"
    marks = "".join(f"[@{key}]" for key in hosts.get(family.prototype, ()))
    return f"{text} in the prototype {family.prototype} {marks}".rstrip()


def _choice(choice: Any) -> str:
    if isinstance(choice, str):
        return choice
    if isinstance(choice, Mapping):
        return " ".join(f"{ion}{share:g}" for ion, share in choice.items())
    return f"{choice.equimolar} of {', '.join(choice.of)} in equal shares"


def _substitution(substitution: Substitution) -> str:
    ions = "; ".join(f"{old} by {', '.join(new)}" for old, new in substitution.ions.items())
    what = ions or "those that are likely by the ICSD's statistics"
    return f"the structure {substitution.path} with other ions on its sites ({what})"


def _relaxation(used: Ingredients) -> str:
    if not used.conventions:
        return "No structure has been relaxed yet."
    engine, relax = used.config.engine, used.config.relax
    text = ""
    if engine.name == "rehearsal":
        text = (
            "This was a rehearsal: a stand-in for VASP computed with a machine-learned potential, "
            "and no number below is one of density functional theory. "
        )
    for convention in used.conventions:
        if convention.code == "vasp":
            text += _density_functional_theory(used)
            continue
        text += (
            f"Energies and forces are those of {convention.potential} [@chgnet][@chgnet-r2scan] "
            f"(weights sha256 {convention.weights_sha256}), fitted to {convention.functional} "
            f"[@r2scan]; corrections of energies: {convention.corrections} [@mp2020]. "
        )
    if engine.runs_vasp:
        text += _vasp(used)
    else:
        text += (
            "Cells and positions were relaxed through atomate2 [@atomate2] and ASE [@ase] with "
            f"FIRE [@fire] until no force exceeded {relax.max_force_eV_per_A:g} eV/Å, in at most "
            f"{relax.max_steps} steps"
        )
        text += _rattled(relax.rattle_A) + ". "
    return text + f"{used.n_relaxed} of {used.n_candidates} candidates were relaxed."


def _rattled(rattle_A: float) -> str:
    if not rattle_A:
        return ""
    return f", after a random displacement of {rattle_A:g} Å that breaks false symmetry"


def _density_functional_theory(used: Ingredients) -> str:
    hubbard = " with a Hubbard U where the Materials Project has one [@dudarev1998]"
    return (
        f"Energies and forces are those of VASP {_listed(used.vasp.versions)} "
        "[@vasp1996a][@vasp1996b] with projector augmented waves [@paw1994][@paw1999] and the PBE "
        f"functional [@pbe]{hubbard if used.vasp.with_hubbard_u else ''}; MP2020 corrections were "
        "added to each energy [@mp2020]. "
    )


def _vasp(used: Ingredients) -> str:
    settings = used.config.engine.vasp
    text = (
        "Relaxations are two of VASP's and a single point, in the settings of the Materials "
        "Project [@materials-project], through atomate2's MPGGADoubleRelaxStaticMaker [@atomate2] "
        f"and custodian [@custodian]{_rattled(used.config.relax.rattle_A)}. "
    )
    changed = [
        f"{name}: {differences}"
        for name, kind in (("relaxations", settings.relax), ("single points", settings.static))
        if (differences := _differences(kind))
    ]
    text += f"Changed in INCAR and KPOINTS: {'; '.join(changed) or 'nothing'}. "
    if used.vasp.potcars:
        potcars = _listed(
            f"{title} (sha256 {digest[:12]})" for title, digest in used.vasp.potcars.items()
        )
        text += f"POTCARs: {potcars}. "
    if used.vasp.n_corrections:
        corrected = _listed(f"{what} ({n} runs)" for what, n in used.vasp.n_corrections.items())
        text += f"custodian corrected: {corrected}. "
    return text


def _differences(settings: CalculationSettings) -> str:
    tags = [f"{tag} = {'left out' if v is None else v}" for tag, v in settings.incar.items()]
    if settings.kpoints is not None:
        meshes = settings.kpoints.model_dump(by_alias=True, exclude_none=True)
        tags += [f"{kind} {mesh}" for kind, mesh in meshes.items()]
    return ", ".join(tags)


def _stability(used: Ingredients, enthalpies: Sequence[str]) -> str:
    if not used.n_on_hull:
        return "No candidate has been placed on the convex hull yet."
    snapshot = used.snapshot
    about = f"{snapshot.known.n_phases} phases, {snapshot.known.date}; " if snapshot.known else ""
    sha256 = snapshot.sha256 or "unknown"
    text = (
        f"{used.n_on_hull} candidates were placed on the convex hull of the reference phases "
        f"{snapshot.name} ({about}sha256 {sha256}) [@reference-phases] and of each other. The "
        "electrochemical window is the range of potentials against the metal of the mobile ion in "
        "which no reaction takes up or gives off that metal [@ong2008][@zhu2015][@richards2016]; a "
        "metastable candidate has the window of the phases that it decomposes into. "
    )
    if used.config.stability.raw_halide_energies:
        text += "The anion corrections of halogens were taken out of all energies. "
    if used.n_with_intervals:
        marks = "".join(f"[@{key}]" for key in enthalpies)
        text += (
            "The 68 % intervals of its limits follow from the error of the energies against "
            f"measured enthalpies of formation {marks}, with a mixing error of 24 meV/atom "
            "[@hautier2012]. "
        )
    if used.n_interfaces:
        text += (
            f"Reactions with {_listed(used.config.stability.electrodes)} were computed over all "
            "mixing ratios [@zhu2016]. "
        )
    return text.rstrip()


def _dynamics(used: Ingredients) -> str:
    settings = used.config.dynamics
    if settings is None:
        return "Molecular dynamics was not asked for."
    if not used.dynamics.durations_ps:
        return "No run of molecular dynamics has given a result yet."
    text = (
        "Molecular dynamics at constant volume and temperature with a Nosé–Hoover thermostat "
        f"[@martyna1992][@nose1984][@hoover1985] (period {settings.thermostat_period_fs:g} fs) and "
        f"a time step of {settings.timestep_fs:g} fs, in cells no narrower than "
        f"{settings.min_cell_width_A:g} Å: from 100 K to the temperature in "
        f"{settings.heating_ps:g} ps, {settings.equilibration_ps:g} ps there, then production. "
    )
    if used.config.engine.runs_vasp:
        changed = _differences(used.config.engine.vasp.dynamics) or "nothing"
        text += (
            "It was PBE, not spin-polarised, at Γ only, through atomate2's MDMaker; changed in "
            f"INCAR and KPOINTS: {changed}. "
        )
    return text + _lengths(used, settings)


def _lengths(used: Ingredients, settings: DynamicsSettings) -> str:
    if settings.relative_error is None:
        text = f"Every run has {settings.production_ps:g} ps of production. "
    else:
        text = (
            f"A run ended once half the 68 % interval of D was at most "
            f"{100 * settings.relative_error:g} % of D, once a gate rejected the candidate at 95 % "
            f"confidence, once the framework moved, or after {settings.production_ps:g} ps. "
        )
    reached = _listed(
        f"{len(each)} at {t:g} K over {_range(each)} ps"
        for t, each in used.dynamics.durations_ps.items()
    )
    text += f"Analysed runs: {reached}. "
    if used.dynamics.outcomes:
        ended = _listed(f"{n} {_OUTCOMES.get(o, o)}" for o, n in used.dynamics.outcomes.items())
        text += f"Of all runs {ended}."
    return text.rstrip()


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low}–{high}"


def _transport(used: Ingredients) -> str:
    if not used.dynamics.durations_ps:
        return ""
    return (
        "D is a third of the trace of the tracer diffusion tensor of "
        f"{_listed(used.dynamics.species)}, from the mean squared displacement in the frame of the "
        "host by generalised least squares with its covariance, after what the run took to settle "
        "[@clark2025][@chodera2016]. Where a run gives no value, D has an upper bound at 95 % "
        "confidence; hops are counted as in [@he2018]. ln D over 1/T gives the activation energy "
        "and D(300 K) with the posterior of one Arrhenius law, in which bounds count; σ(300 K) "
        "follows from D by Nernst and Einstein, n z² e² D/(kB T), with a Haven ratio of 1. "
        f"{SOFT_FORCES if used.has_soft_forces else ''}"
        "Intervals hold 68 % unless something else is said."
    )


def _glasses(used: Ingredients) -> str:
    settings = used.config.amorphous
    if settings is None or not used.n_glasses:
        return ""
    melts = _listed(f"{t:g}" for t in settings.melt_temperatures_K)
    return (
        f"{used.n_glasses} candidates were melted at {melts} K ({settings.heating_ps:g} ps up, "
        f"{settings.hold_ps:g} ps there, {settings.quench_ps:g} ps down to "
        f"{settings.quench_temperature_K:g} K) [@melt-quench] and moved like the crystal; "
        "polyhedra are compared by continuous symmetry measures [@pinsky1998]."
    )


def _ranking(used: Ingredients) -> str:
    gates = used.config.gates
    shut = [
        gate_label(name, threshold)
        for name in Gates.model_fields
        if (threshold := getattr(gates, name)) is not None
    ]
    by = "the width of the window alone"
    if used.config.dynamics is not None:
        by = (
            "the width of the window and the diffusivity, in Pareto fronts: a candidate is behind "
            "another only if its diffusivity is lower for certain and its window not wider for "
            "certain (68 % intervals); within a front the wider window comes first"
        )
    return (
        f"Gates, in their order: {'; '.join(shut) or 'none'}. A candidate is not rejected for a "
        f"quantity that is unknown. The ranking is by {by}. Candidates with a failed guard have no "
        "rank."
    )


def _software(used: Ingredients) -> str:
    names = {"halideflow": "Halideflow"}
    versions = _listed(
        f"{names.get(name, name)} {version} [@{name}]" for name, version in used.versions.items()
    )
    text = f"Versions noted by {'the run' if len(used.runs) == 1 else 'the runs'}: {versions}. "
    text += "pymatgen is described anew in [@pymatgen2026]. Results are kept in maggma [@maggma]"
    if used.on_cluster:
        text += ", and jobs went to a cluster through jobflow-remote [@jobflow-remote]"
    return text + "."


def _listed(words: Iterable[str]) -> str:
    """`a, b and c`."""
    words = list(words)
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
