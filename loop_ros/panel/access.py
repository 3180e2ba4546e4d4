# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who may see and use the panel."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs

COOKIE = 'loop_ros_panel'


def is_local(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == 'localhost':
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Access:
    """An ASGI application around another one: lets in those with the token.

    On an address of this machine alone there is none; there the request must name this machine,
    lest a page of somebody else's site uses the browser to get here (DNS rebinding, sockets of
    other origins).
    """

    def __init__(self, app: Any, host: str, token: str) -> None:
        """An empty token is made up where one is needed."""
        self._app, self._host = app, host
        self.token = token or ('' if is_local(host) else secrets.token_urlsafe(16))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request or socket."""
        if scope['type'] not in ('http', 'websocket'):
            await self._app(scope, receive, send)
            return
        headers = {name.decode('latin-1'): value.decode('latin-1')
                   for name, value in scope['headers']}  # fmt: skip
        given = parse_qs(scope.get('query_string', b'').decode('latin-1')).get('token', [''])[0]
        if reason := self._objection(headers, given):
            await _refuse(scope, receive, send, reason)
        elif given and self.token and scope['type'] == 'http':
            await self._app(scope, receive, _with_cookie(send, self.token))
        else:
            await self._app(scope, receive, send)

    def _objection(self, headers: dict[str, str], given: str) -> str:
        """Why a request is refused; empty where it is not."""
        host, origin = headers.get('host', ''), headers.get('origin', '')
        if origin and origin.partition('://')[2] != host:
            return 'the request comes from a page of another site'
        if not self.token:
            name = host.rpartition(':')[0].strip('[]') or host
            return '' if is_local(name) else f'{name} is not this machine; use 127.0.0.1'
        cookie = SimpleCookie(headers.get('cookie', '')).get(COOKIE)
        known = given or (cookie.value if cookie is not None else '')
        if hmac.compare_digest(known.encode(), self.token.encode()):
            return ''
        return 'open the address with its token, as the panel node logs it'


def _with_cookie(send: Any, token: str) -> Any:
    """Later requests and the socket need no token in their address."""
    cookie = f'{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict'

    async def sent(message: Any) -> None:
        if message['type'] == 'http.response.start':
            headers = [*message['headers'], (b'set-cookie', cookie.encode('latin-1'))]
            message = {**message, 'headers': headers}
        await send(message)

    return sent


async def _refuse(scope: Any, receive: Any, send: Any, reason: str) -> None:
    if scope['type'] == 'websocket':
        await receive()
        await send({'type': 'websocket.close', 'code': 1008, 'reason': reason})
        return
    body = f'loop_ros panel: {reason}\n'.encode()
    headers = [(b'content-type', b'text/plain; charset=utf-8')]
    await send({'type': 'http.response.start', 'status': 403, 'headers': headers})
    await send({'type': 'http.response.body', 'body': body})
