"""Electrostatic energies of very many orderings of one supercell.

Point charges on the sites of a cell have the energy q·M·q, M being the energy of each pair of
sites with unit charges and all their periodic images. M comes from one Ewald sum (pymatgen's, 1 s
for 700 sites, its memory no more than M's); after it an ordering costs a few matrix elements.

Reference:
    Toukmaji, Board, Comput. Phys. Commun. 95, 73 (1996), doi:10.1016/0010-4655(96)00016-1.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pymatgen.core.lattice import Lattice

_CHUNK = 2_000_000  # charges held at once as floating-point numbers


class Electrostatics:
    """Energies of point charges on the sites of one periodic cell.

    A cell that is not neutral is taken with the uniform background that makes it so.

    Args:
        lattice: of the supercell.
        frac_coords: shape (n_sites, 3), all sites that any ordering fills; vacancies have charge 0.

    Attributes:
        pair_energies_eV: shape (n_sites, n_sites), symmetric; diagonal: a site with its own images.
    """

    def __init__(self, lattice: Lattice, frac_coords: NDArray[np.float64]) -> None:
        from pymatgen.core.ewald import EwaldSummation
        from pymatgen.core.structure import Structure

        n_sites = len(frac_coords)
        points = Structure(
            lattice, ["H"] * n_sites, frac_coords, site_properties={"charge": [1.0] * n_sites}
        )
        # The width that balances the real and the reciprocal sum, as GULP has it.
        eta_per_A2 = math.pi * (n_sites / (math.sqrt(2) * lattice.volume**2)) ** (1 / 3)
        ewald = EwaldSummation(points, eta=eta_per_A2)  # type: ignore[no-untyped-call]
        pair_energies_eV: NDArray[np.float64] = ewald.total_energy_matrix
        background_eV = EwaldSummation.CONV_FACT * math.pi / (2 * lattice.volume * eta_per_A2)
        self.pair_energies_eV = (pair_energies_eV + pair_energies_eV.T) / 2 - background_eV

    def energies_eV(self, charges: NDArray[Any]) -> NDArray[np.float64]:
        """Energy per cell of each ordering.

        Args:
            charges: shape (n_orderings, n_sites), in units of e.

        Returns:
            Shape (n_orderings,), eV per cell. What is equal by symmetry differs by rounding alone,
            far below 1e-6 eV.
        """
        n_sites = len(self.pair_energies_eV)
        return self.ordering_energies_eV(np.zeros(n_sites), np.arange(n_sites), charges)

    def ordering_energies_eV(
        self,
        fixed_charges: NDArray[np.float64],
        variable_sites: NDArray[np.intp],
        variable_charges: NDArray[Any],
    ) -> NDArray[np.float64]:
        """Energy per cell of orderings that differ on some of the sites only.

        Args:
            fixed_charges: shape (n_sites,), in units of e; 0 on the variable sites.
            variable_sites: shape (n_variable,).
            variable_charges: shape (n_orderings, n_variable), of any numeric type; converted in
                chunks, so that small integers keep a large set small.

        Returns:
            Shape (n_orderings,), eV per cell.
        """
        assert not np.any(fixed_charges[variable_sites]), "a site is either fixed or variable"
        pairs_eV = self.pair_energies_eV[np.ix_(variable_sites, variable_sites)]
        potentials_V = self.pair_energies_eV @ fixed_charges
        energies_eV = np.empty(len(variable_charges))
        step = max(1, _CHUNK // max(1, len(variable_sites)))
        for start in range(0, len(variable_charges), step):
            charges = variable_charges[start : start + step].astype(np.float64)
            felt_V = charges @ pairs_eV + 2 * potentials_V[variable_sites]
            energies_eV[start : start + step] = np.einsum("ij,ij->i", felt_V, charges)
        energies_eV += fixed_charges @ potentials_V
        return energies_eV
