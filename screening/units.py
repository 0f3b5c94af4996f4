"""Constants and conversions, CODATA 2018 through scipy."""

from scipy import constants

BOLTZMANN_EV_PER_K: float = constants.value("Boltzmann constant in eV/K")
BOLTZMANN_J_PER_K: float = constants.k
ELEMENTARY_CHARGE_C: float = constants.e
A2_PER_PS_TO_CM2_PER_S = 1e-4
A3_TO_CM3 = 1e-24
