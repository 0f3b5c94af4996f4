"""Pages with nothing but drawings, served as the dashboard serves its own."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from workflows.dashboard import security
from workflows.dashboard.plot import Plot

_FOLDER = Path(security.__file__).parent
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Drawings</title>
<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/dashboard.css">
<link rel="stylesheet" href="/static/vendor/plotly.css" id="plotly.js-style-global"
class="no-inline-styles">
<meta name="no-map-styles" content=""
id="9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53">
<script src="/static/vendor/plotly-basic.min.js" defer></script>
<script src="/static/vendor/3Dmol-min.js" defer></script>
<script src="/static/plots.js" defer></script>
<script src="/static/structure.js" defer></script>
</head><body><main id="content"><h1>Drawings</h1>{body}</main></body></html>"""


@dataclass
class Drawings:
    """What a server answers with, to be changed while it runs.

    Args:
        files: path -> content, or the status of a refusal.
        asked: paths, in order.
    """

    address: str = ""
    files: dict[str, bytes | int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def page(self, body: str) -> str:
        """Serve a page; its address."""
        self.files["/"] = _PAGE.format(body=body).encode()
        return f"{self.address}/"

    def plot(self, path: str, plot: Plot) -> None:
        """Serve what plots.js draws."""
        drawn = {"data": plot.traces, "layout": plot.layout, "summary": plot.summary}
        self.files[path] = orjson.dumps(drawn)


@contextlib.contextmanager
def drawings() -> Iterator[Drawings]:
    """A server at a free port."""
    served = Drawings()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(_FOLDER))

        def do_GET(self) -> None:
            if self.path.startswith("/static/"):
                super().do_GET()
                return
            served.asked.append(self.path)
            content = served.files.get(self.path, 404)
            if isinstance(content, int):
                self.send_error(content)
                return
            self.send_response(200)
            self.send_header(
                "Content-Type", "text/html" if self.path == "/" else "application/json"
            )
            self.end_headers()
            self.wfile.write(content)

        def end_headers(self) -> None:
            self.send_header("Content-Security-Policy", security.CONTENT_SECURITY_POLICY)
            super().end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
