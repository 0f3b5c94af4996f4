"""Serve the dashboard until it is stopped."""

from __future__ import annotations

import secrets
import socket
from typing import TYPE_CHECKING

import uvicorn

from screening.errors import InvalidInput
from workflows.dashboard.app import DashboardSettings, create_app
from workflows.memory import share_one_heap

if TYPE_CHECKING:
    from collections.abc import Callable


def new_token() -> str:
    """One that nobody guesses."""
    return secrets.token_urlsafe(24)


def serve(
    settings: DashboardSettings, host: str, port: int, when_ready: Callable[[int], None]
) -> None:
    """Answer requests until SIGINT or SIGTERM.

    Args:
        settings: what is shown, to whom.
        host: address to listen at.
        port: there; 0 takes one that is free.
        when_ready: called with the port as soon as requests are answered.

    Raises:
        InvalidInput: nothing can listen there.
    """
    share_one_heap()
    listener = _listen(host, port)
    config = uvicorn.Config(
        create_app(settings),
        log_level="warning",
        access_log=False,  # it would hold the token of first visits
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
    )
    with listener:
        when_ready(listener.getsockname()[1])
        uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    """The socket takes connections from now on; they wait until the server answers."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        raise InvalidInput(
            f"nothing can listen at {host}:{port} ({error.strerror}); give another --port, "
            "0 for any that is free, or another --host"
        ) from error
    return listener
