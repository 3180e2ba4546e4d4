# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The panel's web server, in a thread of its own."""

from __future__ import annotations

import socket
import threading

import uvicorn
from fastapi import FastAPI
from nicegui import ui

from loop_ros.panel.access import Access
from loop_ros.panel.controls import Controls
from loop_ros.panel.history import History
from loop_ros.panel.page import Page
from loop_ros.sim.task import Task


class PanelServer:
    """Serves one page until the process ends."""

    def __init__(
        self, history: History, controls: Controls, task: Task, host: str, port: int, token: str
    ) -> None:
        """Listens when this returns; OSError that names the address where it cannot."""
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        ui.run_with(app, title=f'loop_ros: {task.name}')
        ui.page('/')(lambda: Page(history, controls, task))
        access = Access(app, host, token)
        listening = _listen(host, port)
        self.port = int(listening.getsockname()[1])
        query = f'?token={access.token}' if access.token else ''
        self.address = f'http://{host}:{self.port}/{query}'
        config = uvicorn.Config(access, log_level='warning', ws='websockets-sansio')
        server = uvicorn.Server(config)
        thread = threading.Thread(
            target=server.run, kwargs={'sockets': [listening]}, name='panel', daemon=True
        )
        thread.start()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen()
    except OSError as error:
        found.close()
        raise OSError(
            f'the panel cannot listen on {host} port {port}: {error.strerror}; choose another by '
            'the parameter port (0: a free one)'
        ) from error
    return found
