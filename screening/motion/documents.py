"""What the analysis of the motion answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from screening.documents import Document

Triple = tuple[float, float, float]
Interval = tuple[float, float]


class Percolation(Document):
    """How far places that ions visit hang together, from -kT ln p on a grid."""

    dimension: Literal[0, 1, 2, 3] = Field(
        description="independent directions along which visited places run through the crystal"
    )
    barriers_eV: tuple[float, ...] = Field(
        description="-kT ln p at the bottleneck above the lowest place of the same network, for "
        "paths through the crystal in one, two, three dimensions; as many as `dimension`"
    )
    errors_eV: tuple[float | None, ...] = Field(
        description="standard errors of the barriers by leaving out quarters of the run; None "
        "where a barrier vanishes without one of them: it rests on that quarter alone"
    )
    barriers_along_abc_eV: tuple[float | None, float | None, float | None] = Field(
        description="the same for getting on along each lattice vector; None: no visited path"
    )
    seen_up_to_eV: float = Field(
        description="free energy at which one visit in the whole run is expected at a place; "
        "higher barriers cannot be told"
    )
    spacing_A: float = Field(description="of the grid, its longest edge")


class Site(Document):
    """A place where ions stay."""

    fractional: Triple
    occupancy: float = Field(description="ions it holds, average over the run")
    n_departures: int
    residence_ps: float | None = Field(description="mean stay; None: no ion left")
    residence_68_ps: Interval | None
    residence_at_least_ps: float | None = Field(
        default=None, description="95 % lower bound of the mean stay where no ion left"
    )


class JumpKind(Document):
    """Jumps along one vector, there or back."""

    vector_A: Triple = Field(description="Cartesian, mean over the jumps, sign without meaning")
    length_A: float
    n_jumps: int
    rate_per_ion_per_ps: float
    rate_68_per_ion_per_ps: Interval


class Jumps(Document):
    """Jumps of all mobile ions between the sites."""

    n_jumps: int
    residence_ps: float | None = Field(description="mean time between an ion's jumps")
    residence_68_ps: Interval | None
    residence_at_least_ps: float | None = Field(
        default=None, description="95 % lower bound where no ion jumps"
    )
    dimension: Literal[0, 1, 2, 3] = Field(
        description="independent directions along which jumps link the sites through the crystal"
    )
    shares_along_xyz: Triple | None = Field(
        description="of the summed squared jump lengths, Cartesian; None without jumps"
    )
    uncorrelated_D_cm2_s: float | None = Field(
        description="rate length² / 6: the diffusivity if every jump were independent"
    )
    n_pairs: int = Field(description="jumps followed by another one of the same ion")
    back_jump_fraction: float | None = Field(description="of those pairs, jumps undone by the next")
    back_jump_68: Interval | None
    correlation_factor: float | None = Field(
        description="(1 + c) / (1 - c), c the mean cosine of successive jumps weighted by lengths"
    )
    correlation_factor_68: Interval | None
    concerted_ratio: float | None = Field(
        description="pairs of jumps by neighbouring ions within half a picosecond over their "
        "number if ions were independent"
    )
    n_concerted: int = Field(description="those pairs")
    kinds: tuple[JumpKind, ...] = Field(description="the most frequent ones, most frequent first")


class VanHoveCurve(Document):
    """The van Hove function at one lag."""

    lag_ps: float
    self_per_A: tuple[float, ...] = Field(
        description="4πr² G_s(r): probability density of a displacement of length r"
    )
    distinct: tuple[float, ...] = Field(
        description="G_d(r) over the density of the other ions; 1 where nothing is correlated"
    )


class VanHove(Document):
    """Self and distinct parts of the van Hove function of the mobile ions."""

    self_r_A: tuple[float, ...] = Field(description="middles of the shells")
    distinct_r_A: tuple[float, ...]
    curves: tuple[VanHoveCurve, ...] = Field(description="in the order of their lags")


class MotionReport(Document):
    """Structure of the motion of one species in one run."""

    species: str
    temperature_K: float
    duration_ps: float
    n_ions: int
    percolation: Percolation
    sites: tuple[Site, ...] = Field(description="the most occupied first; empty in a fluid")
    jumps: Jumps | None = Field(description="None where there are no sites to jump between")
    van_hove: VanHove
    caveats: tuple[str, ...] = ()
