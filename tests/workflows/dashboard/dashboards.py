"""Candidates of the finished campaign, and clients of the dashboard without a network."""

from __future__ import annotations

from starlette.testclient import TestClient

from workflows.dashboard.app import DashboardSettings, create_app

DONE, REJECTED, FAILED = "KCl-kcl-a-1", "NaCl-expanded-1", "K4Cl5-overlap-1"


def client_of(*campaigns, host="127.0.0.1", **settings):
    """A client that asks the dashboard of these campaigns; raises what the server raises."""
    app = create_app(DashboardSettings(tuple(campaigns), **settings))
    return TestClient(app, base_url=f"http://{host}")
