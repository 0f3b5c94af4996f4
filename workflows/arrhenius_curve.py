"""The line of an Arrhenius law with its band, from room temperature to the hottest value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from screening.transport.arrhenius import ROOM_TEMPERATURE_K, arrhenius_band, arrhenius_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from screening.transport.documents import Arrhenius, Diffusivity

N_TEMPERATURES = 60


@dataclass(frozen=True)
class ArrheniusCurve:
    """D of a law, evenly in 1 / T.

    Args:
        temperatures_K: rising.
        D_cm2_s: of the line.
        D_68_cm2_s: lower and upper ends; None where the law has no interval.
        fitted_from_K: below it the line is extrapolated.
    """

    temperatures_K: NDArray[np.float64]
    D_cm2_s: NDArray[np.float64]
    D_68_cm2_s: tuple[NDArray[np.float64], NDArray[np.float64]] | None
    fitted_from_K: float


def arrhenius_curve(
    arrhenius: Arrhenius, diffusivities: Sequence[Diffusivity]
) -> ArrheniusCurve | None:
    """The curve of a law of these diffusivities; None where the law has no line.

    The temperature from which it is fitted is among the temperatures.
    """
    if arrhenius.activation_energy_eV is None:
        return None
    used_K = [d.temperature_K for d in diffusivities if d.D_cm2_s and not d.framework_moves]
    coldest_K = min(ROOM_TEMPERATURE_K, *used_K)
    inverse = np.linspace(1 / coldest_K, 1 / max(used_K), N_TEMPERATURES)
    temperatures_K = np.unique([*(1 / inverse), min(used_K)])
    band = None
    if arrhenius.activation_energy_68_eV is not None:
        low_cm2_s, _, high_cm2_s = arrhenius_band(diffusivities, temperatures_K.tolist())
        band = low_cm2_s, high_cm2_s
    return ArrheniusCurve(
        temperatures_K, arrhenius_line(arrhenius, temperatures_K), band, min(used_K)
    )
