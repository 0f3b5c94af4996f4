"""An executable that stands in for VASP: its files and manners, with energies from CHGNet.

For machines without a licence: makers, handlers, parsers, restarts and failures can be tried on it
from end to end. What it writes says everywhere that it is no DFT, and its version is
`REHEARSAL_VERSION`, so that no document made from it is taken for a calculation.

It reads INCAR, POSCAR, KPOINTS and POTCAR, refuses what it cannot do (see `tags`), relaxes, runs
molecular dynamics and fails on demand (see `faults`).

Prior art: vpmdk and vasp-mace on PyPI go the same way.
"""

REHEARSAL_VERSION = "0.0.0-rehearsal"
"""Where VASP writes its version: `TaskDoc.vasp_version` of a rehearsal."""

NOTICE = "rehearsal, no DFT: energies from CHGNet"
"""A part of every text file that it writes."""
