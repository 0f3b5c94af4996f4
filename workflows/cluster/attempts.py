"""How often a job is tried again by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflows.execution.local import MAX_ATTEMPTS

if TYPE_CHECKING:
    from workflows.execution.jobs import Key

_PROGRESS = 0.005


class Attempts:
    """Counts attempts that brought nothing, of one process that runs the campaign.

    A long run of dynamics may fill many allocations: as long as each brings it further, another
    one follows.
    """

    def __init__(self) -> None:
        self._n_in_vain: dict[Key, int] = {}
        self._furthest: dict[Key, float] = {}

    def may_follow(
        self, key: Key, fraction: float | None = None, n_most: int = MAX_ATTEMPTS
    ) -> bool:
        """Whether another attempt may follow one that was broken off.

        Args:
            key: of the job.
            fraction: how far it had come, 0 to 1; None where nobody knows.
            n_most: attempts that may be in vain.
        """
        if fraction is not None and fraction > self._furthest.get(key, 0.0) + _PROGRESS:
            self._furthest[key] = fraction
            self._n_in_vain[key] = 0
            return True
        self._n_in_vain[key] = self._n_in_vain.get(key, 0) + 1
        return self._n_in_vain[key] < n_most
