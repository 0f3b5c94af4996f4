"""How quickly the dashboard answers, and what it takes: 10,000 candidates and 50,000 jobs.

Two campaigns of that size, one finished and one in progress, each shown by a `halideflow dashboard`
of its own, asked over HTTP as a browser does. Each page is asked 20 times after a first look, by
the wall clock; memory is that of the server when all pages and a figure have been asked for. What
pages say is compared with what the read model counts. The first view in Chromium, where there is
one, is the time from starting to load the overview of the warm server until its text is there and
nothing is being fetched any more.

There is no peer that shows such a campaign: `ratios` are the limits over what was measured.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from large_campaign import N_CANDIDATES, write_large_campaign, write_ranking

from workflows.config_file import load_campaign
from workflows.read_model import CampaignResults
from workflows.results import ResultsFolder

N_REQUESTS = 20
PAGE_LIMIT_S = 0.2
FIRST_VIEW_LIMIT_S = 2.0
MEMORY_LIMIT_MB = 300
CHROMIUM = shutil.which("chromium")


@dataclass
class Server:
    """A dashboard of one campaign."""

    address: str
    process: psutil.Process
    medians_s: dict[str, float] = field(default_factory=dict)

    def get(self, page: str) -> str:
        """The text of a page."""
        with urllib.request.urlopen(self.address + page) as answer:
            return str(answer.read().decode(errors="replace"))

    def time(self, name: str, page: str) -> str:
        """Ask for a page again and again; its text."""
        text = self.get(page)
        times_s = []
        for _ in range(N_REQUESTS):
            start_s = time.perf_counter()
            self.get(page)
            times_s.append(time.perf_counter() - start_s)
        self.medians_s[name] = statistics.median(times_s)
        return text

    @property
    def memory_MB(self) -> float:
        """Resident."""
        return float(self.process.memory_info().rss) / 2**20


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """The dashboard as users start it."""
    command = [sys.executable, "-m", "workflows.cli", "dashboard", "--port", "0", str(folder)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        top = process.stdout.readline().strip()
        try:
            yield Server(f"{top}c/{folder.name}/", psutil.Process(process.pid))
        finally:
            process.terminate()


def measure(folder: Path) -> tuple[Server, float, float, float | None, bool]:
    """Times, the first look in s, memory in MB, the first view in s, whether pages are right."""
    with serving(folder) as server:
        start_s = time.perf_counter()
        server.get("")
        first_s = time.perf_counter() - start_s
        overview = server.time("overview", "")
        rankings = server.time("rankings", "rankings")
        server.time("rankings, sorted and filtered", "rankings?ion=K&sort=-window&page=2")
        server.time("plot of the ranking", "pareto.json")
        (candidate,) = re.findall(r'/candidates/([^"]+)"', rankings)[:1]
        server.time("candidate", f"candidates/{candidate}")
        jobs = server.time("jobs", "jobs")
        server.time("jobs, failed", "jobs?state=failed")
        (job,) = re.findall(r'/jobs/([0-9a-f-]{36})"', jobs)[:1]
        server.time("job", f"jobs/{job}")
        failures = server.time("failures", "failures")
        server.time("provenance", "provenance")
        server.get("pareto.svg?width_mm=85")
        memory_MB = server.memory_MB
        view_s = first_view_s(server.address) if CHROMIUM else None
    return server, first_s, memory_MB, view_s, is_right(folder, overview, rankings, jobs, failures)


def is_right(folder: Path, overview: str, rankings: str, jobs: str, failures: str) -> bool:
    """Whether pages hold what the read model says."""
    results = CampaignResults(load_campaign(folder / "campaign.yaml"), ResultsFolder(folder))
    states: dict[str, int] = {}
    for counts in results.status().values():
        for state, number in counts.items():
            states[state] = states.get(state, 0) + number
    codes = results.jobs.codes()
    first = results.ranking()[0].id
    results.close()
    space = "\N{NARROW NO-BREAK SPACE}"
    text = {state: f"{number:,}".replace(",", space) for state, number in states.items()}
    return (
        all(f'<span class="value">{number}</span>' in overview for number in text.values())
        and all(code in overview and code in failures for code in codes)
        and rankings.count("<tr data-id=") == 100
        and first in rankings
        and f"{N_CANDIDATES:,}".replace(",", space) in rankings
        and f"{sum(states.values()):,}".replace(",", space) in jobs
    )


def first_view_s(address: str) -> float:
    """Until the overview can be read and nothing is fetched any more."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        start_s = time.perf_counter()
        page.goto(address, wait_until="networkidle")
        assert "Funnel" in page.inner_text("main")
        view_s = time.perf_counter() - start_s - 0.5  # networkidle waits half a second
        browser.close()
    return view_s


def main() -> None:
    """Make both campaigns, ask, print."""
    ratios: dict[str, float] = {}
    correct = True
    with tempfile.TemporaryDirectory() as folder:
        finished, running = Path(folder) / "finished", Path(folder) / "running"
        config = write_large_campaign(finished)
        results = CampaignResults(config, ResultsFolder(finished))
        rows = results.ranking()
        results.close()
        write_ranking(finished, config, rows)
        write_large_campaign(running, is_running=True)
        for campaign in (finished, running):
            with contextlib.ExitStack() as stack:
                if campaign is running:
                    stack.enter_context(ResultsFolder(running).locked())
                server, first_s, memory_MB, view_s, is_good = measure(campaign)
            correct &= is_good
            name = campaign.name
            print(f"{name}: first look {first_s:.2f} s, {memory_MB:.0f} MB")
            for page, median_s in server.medians_s.items():
                print(f"  {page:32} {1000 * median_s:6.0f} ms")
                ratios[f"{name}, {page}"] = PAGE_LIMIT_S / median_s
            ratios[f"{name}, memory"] = MEMORY_LIMIT_MB / memory_MB
            if view_s is not None:
                print(f"  first view in Chromium           {1000 * view_s:6.0f} ms")
                ratios[f"{name}, first view"] = FIRST_VIEW_LIMIT_S / view_s
    print(
        json.dumps(
            {
                "benchmark": "dashboard",
                "ratios": {name: round(ratio, 2) for name, ratio in ratios.items()},
                "correct": bool(correct),
                "limits": {
                    "page_s": PAGE_LIMIT_S,
                    "first_view_s": FIRST_VIEW_LIMIT_S,
                    "memory_MB": MEMORY_LIMIT_MB,
                },
                "clock": "wall time",
            }
        )
    )


if __name__ == "__main__":
    main()
