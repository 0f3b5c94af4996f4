"""Local structure of a run or of structures, in one document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from screening.disorder.coordination import SHELL_OF_SIX, Shells, first_shells
from screening.disorder.documents import DisorderReport, PartialRdf, SymmetryMeasure
from screening.disorder.frames import Frames, is_anion
from screening.disorder.rdf import bin_centres_A, partial_rdfs, reach_of
from screening.disorder.symmetry_measure import octahedral_symmetry_measure
from screening.errors import InvalidInput
from screening.transport.trajectory import Trajectory

SYMMETRY_BIN = 0.25
OPEN_SHELL = 0.3  # g at the minimum above which the shell has no clear end


def disorder_report(source: Trajectory | Sequence[Structure], mobile_ion: str) -> DisorderReport:
    """Partial RDFs, first-shell coordination and the symmetry measure of the host's MX6.

    Cations and anions are told apart by their usual charges. Around a cation all anions count
    together, each within the first minimum of its own g(r); around an anion every cation by itself,
    which shows the anions that bridge. The symmetry measure is of the host's cations, not of the
    mobile ion.

    Args:
        source: a run, or structures that share their cell; at most 500 frames are looked at.
        mobile_ion: its symbol.

    Raises:
        InvalidInput: no such ion, no frame, or frames that do not belong together.
    """
    frames = Frames.of(source)
    present = [symbol for symbol, _ in frames.blocks()]
    if mobile_ion not in present:
        raise InvalidInput(f"no {mobile_ion} among the species ({', '.join(sorted(present))})")
    reach_A = reach_of(frames)
    rdfs = partial_rdfs(frames, reach_A)
    anions = [symbol for symbol in present if is_anion(symbol, present)]
    cations = [symbol for symbol in present if symbol not in anions]
    cutoffs_A = _cutoffs_A(rdfs)
    around_cations = [
        first_shells(frames, cation, near)
        for cation in cations
        if (near := {x: cutoffs_A[cation, x] for x in anions if (cation, x) in cutoffs_A})
    ]
    around_anions = [
        first_shells(frames, anion, {cation: cutoffs_A[cation, anion]})
        for anion in anions
        for cation in cations
        if (cation, anion) in cutoffs_A
    ]
    symmetry = [
        _symmetry(shells)
        for shells in around_cations
        if shells.centre != mobile_ion and (shells.numbers == SHELL_OF_SIX).any()
    ]
    return DisorderReport(
        mobile_ion=mobile_ion,
        n_frames=len(frames.fractional),
        n_atoms=len(frames.species),
        volume_A3=frames.volume_A3,
        half_width_A=float(frames.widths_A.min() / 2),
        r_A=tuple(bin_centres_A(reach_A).round(6).tolist()),
        rdfs=rdfs,
        coordination=tuple(shells.summary() for shells in around_cations + around_anions),
        symmetry=tuple(symmetry),
        caveats=tuple(_caveats(rdfs, cations, anions)),
    )


def _cutoffs_A(rdfs: Iterable[PartialRdf]) -> dict[tuple[str, str], float]:
    """Ends of the first shells, by pair in both orders."""
    found = {}
    for rdf in rdfs:
        if rdf.shell is not None:
            found[rdf.centre, rdf.neighbour] = rdf.shell.minimum_A
            found[rdf.neighbour, rdf.centre] = rdf.shell.minimum_A
    return found


def _symmetry(shells: Shells) -> SymmetryMeasure:
    """The measure over all centres and frames with six anions."""
    six = shells.numbers == SHELL_OF_SIX
    measures = octahedral_symmetry_measure(shells.vectors_A[six])
    own_means = _means_of_centres(measures, six)
    n_bins = int(measures.max() / SYMMETRY_BIN) + 1
    density, _ = np.histogram(measures, n_bins, (0.0, n_bins * SYMMETRY_BIN), density=True)
    low, high = np.quantile(measures, [0.05, 0.95])
    n_centres = len(own_means)
    return SymmetryMeasure(
        centre=shells.centre,
        neighbours=tuple(shells.cutoffs_A),
        share_of_six=float(six.mean()),
        n_centres=n_centres,
        n_values=len(measures),
        mean=float(measures.mean()),
        standard_error=(
            float(own_means.std(ddof=1) / np.sqrt(n_centres)) if n_centres > 1 else None
        ),
        standard_deviation=float(measures.std()),
        median=float(np.median(measures)),
        quantiles_05_95=(float(low), float(high)),
        bin_width=SYMMETRY_BIN,
        density=tuple(float(f"{value:.5g}") for value in density),
    )


def _means_of_centres(measures: NDArray[np.float64], six: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean measure of each centre that ever has six anions."""
    centres = np.nonzero(six)[1]
    times = np.bincount(centres)
    return (np.bincount(centres, measures)[times > 0] / times[times > 0]).astype(np.float64)


def _caveats(
    rdfs: Iterable[PartialRdf], cations: Sequence[str], anions: Sequence[str]
) -> Iterable[str]:
    """Shells of cations and anions that are missing or have no clear end."""
    for rdf in rdfs:
        pair = f"{rdf.centre}-{rdf.neighbour}"
        if (rdf.centre in anions) == (rdf.neighbour in anions):
            continue
        if rdf.shell is None:
            yield f"{pair}: no coordination is counted, {rdf.no_shell}"
        elif rdf.shell.g_at_minimum > OPEN_SHELL:
            yield (
                f"{pair}: the first shell has no clear end, g = {rdf.shell.g_at_minimum:.2f} at "
                f"its minimum of {rdf.shell.minimum_A:.2f} Å; its coordination number is a "
                "matter of the cutoff"
            )
    if not (cations and anions):
        yield "no cation beside an anion, so no coordination is counted"
