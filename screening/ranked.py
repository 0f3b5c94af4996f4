"""The campaign's answer: a ranked list of candidates."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from screening.documents import Document, Failure, Rejection
from screening.transport.documents import Diffusivity, RunEnd


class RankedCandidate(Document):
    """One row of the ranking; what is unknown is None."""

    rank: int | None
    pareto_front: int | None = Field(
        default=None,
        description="1: no other candidate has a higher diffusivity for certain and a window that "
        "may be as wide",
    )
    id: str
    formula: str
    mobile_ion: str
    state: Literal["waiting", "running", "done", "rejected", "failed"]
    stage: str = Field(description="the stage that decided `state`, or the one it waits for")
    engine: str
    host: str
    degeneracy: int
    formation_energy_eV_per_atom: float | None = None
    e_hull_eV_per_atom: float | None = None
    reduction_limit_V: float | None = None
    reduction_limit_68_V: tuple[float, float] | None = None
    oxidation_limit_V: float | None = None
    oxidation_limit_68_V: tuple[float, float] | None = None
    window_V: float | None = None
    window_68_V: tuple[float, float] | None = None
    window_of: str | None = None
    reduction_products: tuple[str, ...] | None = None
    oxidation_products: tuple[str, ...] | None = None
    diffusivity: tuple[Diffusivity, ...] = ()
    run_ends: dict[str, RunEnd] = Field(
        default_factory=dict, description="temperature in K -> why that run was ended"
    )
    lost_runs: dict[str, str] = Field(
        default_factory=dict, description="temperature in K -> code of why that run gave nothing"
    )
    activation_energy_eV: float | None = None
    activation_energy_68_eV: tuple[float, float] | None = None
    activation_energy_95_eV: tuple[float, float] | None = None
    activation_energy_ln_sigma_eV: float | None = None
    D_300K_cm2_s: float | None = None
    conductivity_300K_S_cm: float | None = None
    conductivity_300K_mS_cm: float | None = None
    conductivity_300K_68_S_cm: tuple[float, float] | None = None
    conductivity_300K_95_S_cm: tuple[float, float] | None = None
    conductivity_300K_upper_bound_S_cm: float | None = Field(
        default=None, description="at 95 % confidence, where there is no interval"
    )
    one_arrhenius_law: bool | None = Field(
        default=None, description="false: σ(300 K) is not to be relied on; None: not tested"
    )
    rejection: Rejection | None = None
    failure: Failure | None = None
    suspect: bool = Field(
        default=False, description="a guard failed: it is listed behind all others, without a rank"
    )
    caveats: tuple[str, ...] = ()


class Ranking(Document):
    """The campaign's answer."""

    campaign: str
    candidates: tuple[RankedCandidate, ...]
