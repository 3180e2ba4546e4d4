# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who gets to the panel."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from loop_ros.panel.access import COOKIE, Access, is_local
from loop_ros.panel.server import listen


def status(listens: str, token: str, query: str = '', kind: str = 'http', **headers: str) -> int:
    """What a request gets: 200 from the page, 403 or 1008 (a closed socket) from the guard."""
    sent: list[dict[str, Any]] = []

    async def page(scope: Any, receive: Any, send: Any) -> None:
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})

    async def receive() -> dict[str, str]:
        return {'type': 'websocket.connect'}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {'type': kind, 'headers': pairs, 'query_string': query.encode()}
    asyncio.run(Access(page, listens, token)(scope, receive, send))
    return int(sent[0].get('status') or sent[0]['code'])


@pytest.mark.parametrize(
    ('host', 'local'),
    [('127.0.0.1', True), ('127.8.8.8', True), ('localhost', True), ('::1', True),
     ('0.0.0.0', False), ('192.168.1.7', False), ('robot.local', False)],
)  # fmt: skip
def test_which_addresses_only_this_machine_reaches(host: str, local: bool) -> None:
    assert is_local(host) == local
    assert bool(Access(None, host, '').token) != local, 'a token is made up where one is needed'


@pytest.mark.parametrize(
    ('query', 'cookie', 'expected'),
    [('', '', 403), ('token=wrong', '', 403), ('token=right', '', 200),
     ('', f'{COOKIE}=right', 200), ('', f'{COOKIE}=wrong', 403)],
)  # fmt: skip
@pytest.mark.parametrize(('kind', 'refused'), [('http', 403), ('websocket', 1008)])
def test_a_token_opens_page_and_socket(
    query: str, cookie: str, expected: int, kind: str, refused: int
) -> None:
    found = status('0.0.0.0', 'right', query, kind, host='robot:8080', cookie=cookie)
    assert found == (refused if expected == 403 else expected)


@pytest.mark.parametrize(
    ('host', 'expected'),
    [('127.0.0.1:8080', 200), ('localhost:8080', 200), ('[::1]:8080', 200),
     ('evil.example', 403), ('evil.example:8080', 403)],
)  # fmt: skip
def test_without_a_token_the_request_must_name_this_machine(host: str, expected: int) -> None:
    assert status('127.0.0.1', '', host=host) == expected


@pytest.mark.parametrize('token', ['', 'right'])
def test_a_page_of_another_site_gets_no_socket(token: str) -> None:
    own = {'host': 'localhost:8080', 'origin': 'http://localhost:8080'}
    foreign = {**own, 'origin': 'http://evil.example'}
    query, host = f'token={token}', '0.0.0.0' if token else '127.0.0.1'
    assert status(host, token, query, 'websocket', **own) == 200
    assert status(host, token, query, 'websocket', **foreign) == 1008


def test_an_address_in_use_is_named_with_the_remedy() -> None:
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f'port {port}: Address already in use; choose another'):
            listen('127.0.0.1', port)
