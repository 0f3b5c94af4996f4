"""The dashboard as its own process, and a real browser that lets nothing pass."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-swiftshader",  # WebGL without a graphics card
)
AA = {"wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"}
WIDTHS_PX = (1440, 390)
SCHEMES = ("light", "dark")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with a fresh profile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_ARGUMENTS))
        yield browser
        browser.close()


@contextlib.contextmanager
def dashboard(*arguments: object) -> Iterator[str]:
    """`halideflow dashboard ARGUMENTS` at a free port; the address that it printed."""
    with subprocess.Popen(
        [sys.executable, "-m", "workflows.cli", "dashboard", "--port", "0", *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:"), address
            yield address
        finally:
            process.send_signal(signal.SIGINT)


@dataclass
class Visit:
    """A page that was opened, and all that it did besides."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, context: BrowserContext) -> Visit:
        """A new page."""
        visit = cls(context.new_page())
        page, complaints = visit.page, visit.complaints
        page.on(
            "console",
            lambda message: (
                complaints.append(f"console: {message.text} {message.location['url']}")
                if message.type in ("error", "warning") and "GPU stall" not in message.text
                else None
            ),
        )
        page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("http://127.0.0.1:", "data:", "blob:"))
                else complaints.append(f"request: {request.url}")
            ),
        )
        return visit

    def go(self, address: str) -> Page:
        """Open an address, and wait for its plots."""
        self.page.goto(address)
        self.settle()
        return self.page

    def settle(self) -> None:
        """Wait until all that the page fetches is there."""
        self.page.wait_for_load_state("networkidle")

    def check(self, screenshot: Path) -> None:
        """No complaint, nothing wider than the screen, no WCAG A/AA violation; a picture."""
        self.page.screenshot(path=screenshot, full_page=True)
        too_wide = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        violations = [
            f"{each['id']}: {each['help']}: {[node['html'][:120] for node in each['nodes'][:3]]}"
            for each in Axe().run(self.page).response["violations"]
            if AA.intersection(each["tags"])
        ]
        assert (self.complaints, violations, too_wide) == ([], [], 0), self.page.url
