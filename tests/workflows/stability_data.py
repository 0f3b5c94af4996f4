"""Stabilities with the profile and the windows that a test asks for."""

from __future__ import annotations

from screening.stability.documents import Limit, Stability, VoltageProfile, VoltageStep, Window

OXIDISED = {"TaCl5": 1.0, "Cl2": 0.5}
STEPS = {
    4.855: {"KTaCl6": 1.0},
    2.334: {"K2Ta3Cl9": 1 / 3, "KCl": 1 / 3},
    1.3: {"KCl": 6.0, "Ta": 1.0},
}


def profile(steps=STEPS):
    """From potentials, each with what is in equilibrium below it."""
    return VoltageProfile(
        oxidized=OXIDISED,
        steps=tuple(
            VoltageStep(
                potential_V=potential_V,
                reaction="",
                products=products,
                n_metal=n_metal,
                capacity_mAh_g=1,
                energy_Wh_kg=1,
                reaction_energy_eV=0,
            )
            for n_metal, (potential_V, products) in enumerate(sorted(steps.items(), reverse=True))
        ),
        decomposition_potentials_V=(),
        decomposition_energies_eV_per_atom=(),
    )


def window(low_V, high_V, reach_V=None):
    """With 68 % intervals of that half-width, if any."""
    low, high = (
        Limit(
            potential_V=v,
            potential_68_V=None if reach_V is None else (v - reach_V, v + reach_V),
            products=("KCl",),
            reaction="",
        )
        for v in (low_V, high_V)
    )
    return Window(reduction=low, oxidation=high)


def stability(steps=STEPS, own=(2.334, 4.855), equilibrium=(2.334, 4.855), of="candidate"):
    """With both windows, as arguments of `window`."""
    return Stability(
        formation_energy_eV_per_atom=-1,
        e_hull_eV_per_atom=0,
        energy_below_competitors_eV_per_atom=0.03,
        decomposition={},
        candidate_window=window(*own),
        equilibrium_window=window(*equilibrium),
        window_of=of,
        profile=profile(steps),
        guards=(),
        references_sha256="0" * 64,
    )
