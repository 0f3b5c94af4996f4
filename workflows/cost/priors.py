"""What jobs cost before a campaign has finished any of its own: all numbers, with their origin.

Core-seconds are those a step of relaxation (force evaluation) or of dynamics takes in the median at
50 atoms; `factor` covers other machines and other chemistry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workflows.cost.regression import LawPrior

if TYPE_CHECKING:
    from workflows.config import CampaignConfig


@dataclass(frozen=True)
class Priors:
    """Of one engine.

    Args:
        source: where the numbers are from, for people.
        is_guess: nobody measured them.
        rates: relax or dynamics -> core-seconds a step.
        relax_steps: force evaluations of a relaxation.
    """

    source: str
    is_guess: bool
    rates: Mapping[str, LawPrior]
    relax_steps: LawPrior


# Relaxations of 54 cells and dynamics of 25, 2 to 136 atoms, eight families of halides with K, Na
# and Li; relaxed to 0.03 eV/Å (steps) and run beside each other as `halideflow run` does. Least
# squares: 0.0200(8) s · (n/50)^0.91(8) with noise 0.20 for relaxations from 16 atoms on, and
# 0.0244(10) s · (n/50)^0.98(9) with noise 0.18 for dynamics. Steps: 124(15) · (n/50)^1.0(3), noise
# 0.63; to 0.2 eV/Å they are 17(3), which is 0.03/0.2 of it.
_CHGNET = Priors(
    source="79 jobs of 2 to 136 atoms, measured on one core of a server (AMD EPYC) on 2026-11-30",
    is_guess=False,
    rates={
        "relax": LawPrior(typical=0.020, factor=2.0, power=0.9, power_error=0.15, noise=0.25),
        "dynamics": LawPrior(typical=0.024, factor=2.0, power=1.0, power_error=0.15, noise=0.2),
    },
    relax_steps=LawPrior(typical=124, factor=1.8, power=0.9, power_error=0.4, noise=0.65),
)
_STEPS_MEASURED_TO_EV_PER_A = 0.03

# Ten relaxations of 2 to 128 atoms and ten runs of dynamics of 32 to 128, each of 1,000 steps in
# four pieces. Starting the stand-in, custodian and the parsers take most of it: seconds for each of
# a job's runs, whatever the size. Least squares: 0.27(2) s · (n/50)^0.0(1) with noise 0.15, steps
# 66(6) · (n/50)^0.3(1) with noise 0.24; dynamics 0.057(2) s · (n/50)^0.6(1) with noise 0.09, beside
# other work.
_REHEARSAL = Priors(
    source="20 jobs of 2 to 128 atoms, measured on one core of a server (AMD EPYC) on 2026-11-30",
    is_guess=False,
    rates={
        "relax": LawPrior(typical=0.27, factor=2.0, power=0.15, power_error=0.15, noise=0.2),
        "dynamics": LawPrior(typical=0.05, factor=2.0, power=0.6, power_error=0.2, noise=0.2),
    },
    relax_steps=LawPrior(typical=66, factor=1.6, power=0.2, power_error=0.2, noise=0.35),
)

# Nothing of it was measured here. PBE+U in Materials Project settings, spin-polarised, 520 eV: some
# fifteen electronic steps of a few core-minutes each at 50 atoms. Dynamics: Γ only, no spin, the
# potentials' own cutoff, five to ten electronic steps. The exponent lies between the square (FFTs,
# fewer k-points in larger cells) and the cube (orthogonalisation) of the number of electrons.
_VASP = Priors(
    source="a guess from general experience with VASP, good to a factor of four, until this "
    "campaign's first jobs are finished",
    is_guess=True,
    rates={
        "relax": LawPrior(typical=3000, factor=4.0, power=2.3, power_error=0.4, noise=0.6),
        "dynamics": LawPrior(typical=60, factor=4.0, power=2.3, power_error=0.4, noise=0.4),
    },
    relax_steps=LawPrior(typical=40, factor=1.8, power=0.3, power_error=0.3, noise=0.5),
)

PRIORS = {"chgnet": _CHGNET, "rehearsal": _REHEARSAL, "vasp": _VASP}


def priors_for(config: CampaignConfig) -> Priors:
    """Those of the campaign's engine; a potential's relaxations are longer, the finer they are."""
    priors = PRIORS[config.engine.name]
    if config.engine.runs_vasp:
        return priors
    steps = priors.relax_steps
    finer = _STEPS_MEASURED_TO_EV_PER_A / config.relax.max_force_eV_per_A
    return replace(priors, relax_steps=replace(steps, typical=max(steps.typical * finer, 1)))
