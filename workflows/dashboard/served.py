"""The campaigns of a dashboard, opened anew for each request: each sees what is true now."""

from __future__ import annotations

import contextlib
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from screening.errors import InvalidInput, Unavailable
from workflows.config_file import load_campaign, results_folder
from workflows.live_ranking import LiveRanking
from workflows.read_model import CampaignResults
from workflows.results import ResultsFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from screening.ranked import RankedCandidate
    from workflows.config import CampaignConfig

T = TypeVar("T")
_NOTHING = object()
_BUSY_TIMEOUT_S = 2.0
"""A page says sooner than a command that the file is locked."""


@dataclass
class ServedCampaign:
    """A campaign, by its config file or its results folder.

    Args:
        path: as it was given.
        slug: its name in URLs.
    """

    path: Path
    slug: str
    _read: tuple[int, CampaignConfig] | None = None
    _ranking: LiveRanking = field(default_factory=LiveRanking)
    _kept: dict[str, tuple[object, Any]] = field(default_factory=dict)
    _locks: dict[str, threading.Lock] = field(default_factory=dict)

    @property
    def config_path(self) -> Path:
        """The file with its config: the one given, or that of the last run."""
        return ResultsFolder(self.path).config_copy if self.path.is_dir() else self.path

    @property
    def folder(self) -> ResultsFolder:
        """Where its results are.

        Raises:
            ConfigError: its config file does not hold.
        """
        if self.path.is_dir():
            return ResultsFolder(self.path)
        return ResultsFolder(results_folder(self.path, self.config))

    @property
    def config(self) -> CampaignConfig:
        """As the file says now.

        Raises:
            ConfigError: it does not hold.
        """
        changed_at = self.config_path.stat().st_mtime_ns
        if self._read is None or self._read[0] != changed_at:
            self._read = changed_at, load_campaign(self.config_path)
        return self._read[1]

    @contextlib.contextmanager
    def open(self) -> Iterator[CampaignResults]:
        """Its results, for this thread.

        Raises:
            NotFinished: nothing has been run yet.
            Unavailable: its config or its results cannot be read as they are now.
        """
        kept = self._ranking.enumeration
        try:
            results = CampaignResults(self.config, self.folder, _BUSY_TIMEOUT_S, kept)
        except InvalidInput as error:  # nothing in the address is wrong
            raise Unavailable(str(error)) from error
        try:
            yield results
        finally:
            results.close()

    def ranking(self, results: CampaignResults) -> tuple[RankedCandidate, ...]:
        """What `results.ranking()` gives, without reading again what has not changed."""
        return self._ranking.rows(results)

    def kept(self, name: str, of: object, make: Callable[[], T]) -> T:
        """What takes long to make, made again only where `of` has become another.

        Who asks meanwhile waits: nothing is made twice, and one of each name stays.
        """
        with self._locks.setdefault(name, threading.Lock()):
            known, made = self._kept.get(name, (_NOTHING, None))
            if known != of:
                made = make()
                self._kept[name] = of, made
            found: T = made
            return found


def served(paths: Iterable[Path]) -> dict[str, ServedCampaign]:
    """Campaigns by their names in URLs."""
    campaigns: dict[str, ServedCampaign] = {}
    for path in paths:
        name = path.resolve().name if path.is_dir() else path.stem
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "campaign"
        slug, number = stem, 1
        while slug in campaigns:
            number += 1
            slug = f"{stem}-{number}"
        campaigns[slug] = ServedCampaign(path, slug)
    return campaigns
