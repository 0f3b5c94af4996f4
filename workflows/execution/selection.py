"""Which jobs of a campaign a command means."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Selection:
    """Jobs of a stage, of a candidate, that failed with a code; None stands for all."""

    stage: str | None = None
    candidate: str | None = None
    code: str | None = None

    def includes(self, stage: str | None, candidate: str | None) -> bool:
        """Whether a job of this stage and candidate is meant, whatever its code."""
        return self.stage in (None, stage) and self.candidate in (None, candidate)


EVERYTHING = Selection()
