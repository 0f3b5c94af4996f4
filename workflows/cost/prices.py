"""What one job is expected to cost: for whoever promises core-hours to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflows.cost.finished import measured_jobs
from workflows.cost.model import CostModel
from workflows.cost.regression import REFERENCE_ATOMS

if TYPE_CHECKING:
    from workflows.config import CampaignConfig
    from workflows.execution.jobs import JobTable
    from workflows.execution_settings import QueuedStage


class Prices:
    """Medians of a campaign's cost model, each computed once until the next `refresh`."""

    def __init__(self, config: CampaignConfig, table: JobTable) -> None:
        self._config = config
        self._table = table
        self.refresh()

    def refresh(self) -> None:
        """Take in what has been finished in the meantime; some milliseconds."""
        measured = measured_jobs(self._table, self._config.engine)
        self._model = CostModel.of(self._config, measured)
        self._known: dict[tuple[QueuedStage, int], float] = {}

    def job(self, stage: QueuedStage, n_atoms: int | None) -> float:
        """Core-hours of one job, median.

        Args:
            stage: of the job.
            n_atoms: of its cell; None, in tables of earlier versions, counts as 50.
        """
        key = stage, n_atoms or REFERENCE_ATOMS
        if key not in self._known:
            self._known[key] = self._model.job(*key).median
        return self._known[key]
