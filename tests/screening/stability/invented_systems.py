"""Snapshots of invented phases, and an independent answer to what is in equilibrium."""

import numpy as np
from pymatgen.core import Composition, Lattice, Structure
from scipy.optimize import linprog

from screening.documents import EnergyConvention
from screening.stability.references import ReferencePhase, ReferencePhases, RelaxationProtocol

INVENTED = EnergyConvention(
    code="invented", functional="none", corrections="none", potential="by hand"
)


def snapshot(
    energies_eV: dict[str, float], caveats: dict[str, tuple[str, ...]] | None = None, **fields
) -> ReferencePhases:
    """Phases with energies per formula unit as written; elements are at zero unless listed.

    A key may end in a prime to tell polymorphs apart.
    """
    compositions = {key: Composition(key.rstrip("'")) for key in energies_eV}
    elements = {e.symbol for c in compositions.values() for e in c}
    listed = {c.elements[0].symbol for c in compositions.values() if len(c) == 1}
    for symbol in sorted(elements - listed):
        compositions[symbol] = Composition(symbol)
    return ReferencePhases(
        convention=INVENTED,
        relaxation=RelaxationProtocol(maker="none", max_force_eV_per_A=0.1, max_steps=1),
        date="2024-01-01",
        phases=tuple(
            ReferencePhase(
                name=key,
                formula=composition.reduced_formula,
                structure=atoms_in_a_row(composition),
                energy_eV_per_atom=energies_eV.get(key, 0.0) / composition.num_atoms,
                source="invented",
                caveats=(caveats or {}).get(key, ()),
            )
            for key, composition in compositions.items()
        ),
        **fields,
    )


def atoms_in_a_row(composition: Composition) -> Structure:
    """Any structure of a composition."""
    symbols = [e.symbol for e, n in composition.items() for _ in range(round(n))]
    n = len(symbols)
    return Structure(Lattice.orthorhombic(3 * n, 3, 3), symbols, [[i / n, 0, 0] for i in range(n)])


def lowest_energy(references: ReferencePhases, composition: Composition) -> float:
    """Energy in eV of the best mixture of phases with a composition, by linear programming."""
    return _minimise(references, composition, composition.elements, {})[0]


def equilibrium_metal_content(
    references: ReferencePhases, composition: Composition, metal: str, potential_V: float
) -> float:
    """Metal atoms per formula unit in equilibrium at a potential, by linear programming."""
    mu_eV = min(p.energy_eV_per_atom for p in references.phases if p.formula == metal)
    host = [e for e in composition.elements if e.symbol != metal]
    amounts = _minimise(references, composition, host, {metal: mu_eV - potential_V})[1]
    atoms = [p.composition[metal] / p.composition.num_atoms for p in references.phases]
    return float(np.dot(amounts, atoms))


def _minimise(references, composition, conserved, mu_eV):
    """Atoms in each phase that minimise the energy minus mu N, given the conserved elements."""
    usable = [{e.symbol for e in p.composition} <= _symbols(composition) for p in references.phases]
    fractions = [
        {e: n / p.composition.num_atoms for e, n in p.composition.items()}
        for p in references.phases
    ]
    cost = [
        p.energy_eV_per_atom - sum(mu * x.get(_element(m), 0.0) for m, mu in mu_eV.items())
        for p, x in zip(references.phases, fractions, strict=True)
    ]
    solution = linprog(
        cost,
        A_eq=[[x.get(e, 0.0) for x in fractions] for e in conserved],
        b_eq=[composition[e] for e in conserved],
        bounds=[(0, None if use else 0) for use in usable],
        method="highs",
    )
    assert solution.success
    return solution.fun, solution.x


def _symbols(composition):
    return {e.symbol for e in composition}


def _element(symbol):
    return Composition(symbol).elements[0]
