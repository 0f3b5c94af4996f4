"""What the local structure of a run answers: who sits how far from whom, and how regularly."""

from __future__ import annotations

from pydantic import Field

from screening.documents import Document


class FirstShell(Document):
    """The first peak of a partial RDF and where it ends."""

    peak_A: float
    minimum_A: float = Field(description="the shell's cutoff: the first minimum of g(r)")
    g_at_minimum: float = Field(description="0 if nothing leaves the shell, near 1 in a liquid")
    coordination_number: float = Field(description="n(r) at the minimum")


class PartialRdf(Document):
    """Radial distribution of one species around another; r is `DisorderReport.r_A`.

    The RDF of B around A is that of A around B; n(r) of the other way round is this one times
    `n_centres / n_neighbours`.
    """

    centre: str
    neighbour: str
    n_centres: int
    n_neighbours: int
    g: tuple[float, ...]
    running_number: tuple[float, ...] = Field(
        description="neighbours of a centre closer than the upper edge of the bin"
    )
    shell: FirstShell | None = None
    no_shell: str | None = Field(default=None, description="why g(r) shows no first shell")


class Coordination(Document):
    """How many neighbours are inside the first shell: shares of centres and frames."""

    centre: str
    neighbours: tuple[str, ...] = Field(description="counted together, each by its own cutoff")
    cutoffs_A: tuple[float, ...] = Field(description="one of each neighbour")
    mean: float
    numbers: tuple[int, ...] = Field(description="all that occur, ascending")
    shares: tuple[float, ...] = Field(description="of each number; they add up to 1")


class SymmetryMeasure(Document):
    """Continuous symmetry measure of MX6 against the regular octahedron, 0 if it is one.

    Over all centres and frames with six anions in the first shell of M; those with another number
    are no octahedra and are left out, `share_of_six` says how many stay.
    """

    centre: str
    neighbours: tuple[str, ...]
    share_of_six: float
    n_centres: int
    n_values: int
    mean: float
    standard_error: float | None = Field(
        default=None, description="of the mean, from the scatter of the centres' own means"
    )
    standard_deviation: float
    median: float
    quantiles_05_95: tuple[float, float]
    bin_width: float
    density: tuple[float, ...] = Field(description="probability density, bins from 0 upwards")


class DisorderReport(Document):
    """Partial RDFs, coordination and symmetry of one run or structure."""

    mobile_ion: str
    n_frames: int = Field(description="looked at, evenly spread over what was given")
    n_atoms: int
    volume_A3: float
    half_width_A: float = Field(
        description="half the cell's smallest width; beyond it g(r) sees periodic images"
    )
    r_A: tuple[float, ...] = Field(description="centres of the bins")
    rdfs: tuple[PartialRdf, ...]
    coordination: tuple[Coordination, ...]
    symmetry: tuple[SymmetryMeasure, ...]
    caveats: tuple[str, ...] = ()
