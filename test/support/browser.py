# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A real Chromium, driven by its debugging protocol."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from stack import until

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason='chromium is not installed')


class Browser:
    """One page."""

    def __init__(self, profile: Path, width: int = 1400, height: int = 1000) -> None:
        from websockets.sync.client import connect

        assert CHROMIUM is not None
        self._process = subprocess.Popen(
            [
                CHROMIUM,
                *('--headless=new', '--no-sandbox', '--disable-gpu', '--remote-debugging-port=0'),
                *(f'--user-data-dir={profile}', 'about:blank'),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        found = (re.search(r'ws://([^/]+)/', line) for line in self._process.stderr)
        address = next(match for match in found if match)[1]
        with urlopen(f'http://{address}/json') as answer:
            page = next(each for each in json.load(answer) if each['type'] == 'page')
        self._connection = contextlib.ExitStack()
        connected = connect(page['webSocketDebuggerUrl'], max_size=None, close_timeout=1)
        self._socket = self._connection.enter_context(connected)
        self._asked = 0
        self._log: list[str] = []
        for domain in ('Page', 'Runtime', 'Network'):
            self.ask(f'{domain}.enable')
        self.resize(width, height)

    def ask(self, method: str, **parameters: Any) -> Any:
        """A command of the protocol and its result."""
        self._asked += 1
        request = {'id': self._asked, 'method': method, 'params': parameters}
        self._socket.send(json.dumps(request))
        while True:
            message = json.loads(self._socket.recv(timeout=20))
            if message.get('method') == 'Network.requestWillBeSent':
                self._log.append(message['params']['request']['url'])
            if message.get('id') == self._asked:
                assert 'error' not in message, message
                return message['result']

    def evaluate(self, expression: str) -> Any:
        """The value of JavaScript."""
        found = self.ask('Runtime.evaluate', expression=expression, returnByValue=True)
        assert 'exceptionDetails' not in found, found
        return found['result'].get('value')

    def resize(self, width: int, height: int) -> None:
        """As a window, or a phone, of this size."""
        self.ask('Emulation.setDeviceMetricsOverride', width=width, height=height,
                 deviceScaleFactor=1, mobile=width < 800)  # fmt: skip

    def open(self, address: str) -> None:
        """Go to a page."""
        self.ask('Page.navigate', url=address)

    def text(self, name: str) -> str:
        """What an element says; empty where there is none yet."""
        return str(self.evaluate(f"{_element(name)}?.innerText ?? ''"))

    def click(self, name: str) -> None:
        """On an element."""
        self.evaluate(f'{_element(name)}.click()')

    def wait(self, name: str, text: str, timeout: float = 15.0) -> str:
        """Until an element's text has this in it."""
        try:
            until(lambda: text in self.text(name), timeout, text)
        except AssertionError:
            raise AssertionError(f'{name}: {self.text(name)!r}, expected {text!r}') from None
        return self.text(name)

    @property
    def requested(self) -> list[str]:
        """Every address that was asked for."""
        return self._log

    def picture(self, path: Path) -> None:
        """The whole page as a PNG."""
        found = self.ask('Page.captureScreenshot', format='png', captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found['data']))

    def close(self) -> None:
        """End it."""
        self._connection.close()
        self._process.terminate()
        self._process.wait()


def _element(name: str) -> str:
    return f"document.querySelector('[data-testid={name}]')"
