"""The loop of adaptive molecular dynamics, for whatever moves the atoms."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from screening.transport.stopping import judge

if TYPE_CHECKING:
    from screening.transport.documents import RunEnd
    from screening.transport.stopping import StoppingRule
    from screening.transport.trajectory import Trajectory


class Segments(Protocol):
    """What the loop needs of a run that can be continued exactly."""

    @property
    def produced_ps(self) -> float:
        """Length of the production so far; more than zero if the run is being resumed."""

    def produce(self, until_ps: float) -> None:
        """Go on until the production is this long, heating and equilibrating first.

        Raises:
            EngineFailure: the run cannot be continued; what was produced before is still there.
        """

    def production(self) -> Trajectory:
        """All of it so far."""


def produce_until_decided(
    run: Segments, mobile_ion: str, rule: StoppingRule, *, segment_ps: float, budget_ps: float
) -> RunEnd:
    """Extend `run` segment by segment until the rule ends it, at the latest at its budget.

    The decision is taken at multiples of `segment_ps` alone, and depends on nothing but the
    trajectory: a run that is resumed anywhere ends where the unbroken one does.

    Raises:
        EngineFailure, InvalidInput: as `Segments.produce` and `judge` do.
    """
    n_segments = max(math.ceil(run.produced_ps / segment_ps - 1e-9), 1)
    while True:
        until_ps = min(n_segments * segment_ps, budget_ps)
        run.produce(until_ps)
        is_last = until_ps >= budget_ps
        if end := judge(run.production(), mobile_ion, rule, is_last=is_last):
            return end
        n_segments += 1
