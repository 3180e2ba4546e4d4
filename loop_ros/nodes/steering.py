# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the panel asks of the stack, awaited in another thread than the node's."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.client import Client
from std_srvs.srv import Trigger

from loop_ros.checkpoint import METADATA_FILE
from loop_ros.nodes.bag_process import BagProcess
from loop_ros.nodes.managed import ManagedNode
from loop_ros.panel.controls import Answer

TIMEOUT = 3.0  # s for an answer
PLANNER = ('stop', 'reset', 'explain')
EPISODES = {True: ('robot/start_episode', 'bridge/reset'), False: ('robot/end_episode',)}
MOST_CHECKPOINTS = 50  # that are offered


class Steering:
    """`panel.controls.Controls` by services and parameters of the nodes beside the panel's."""

    def __init__(self, node: ManagedNode, bag: BagProcess, checkpoints: Path | None) -> None:
        """`checkpoints` is the folder whose checkpoints are offered beside the shipped one."""
        self._bag, self._checkpoints = bag, checkpoints
        names = [*(f'planner/{name}' for name in PLANNER), *EPISODES[True], *EPISODES[False]]
        self._triggers = {name: node.create_client(Trigger, name) for name in names}
        self._parameters = node.create_client(SetParameters, 'planner/set_parameters')

    async def set_d0(self, d0: float) -> Answer:
        """Plan under another threshold."""
        value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=d0)
        return await self._set('d0', value, f'd0 = {d0:g} is set')

    async def load(self, checkpoint: str) -> Answer:
        """Try other weights."""
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=checkpoint)
        return await self._set('checkpoint', value, f'{checkpoint} is tried')

    async def call(self, service: str) -> Answer:
        """One of the planner's services."""
        return await self._trigger(f'planner/{service}')

    async def episode(self, begin: bool) -> Answer:
        """By the robot node's services, else by the simulation's."""
        for name in EPISODES[begin]:
            if self._triggers[name].service_is_ready():
                return await self._trigger(name)
        return Answer(False, 'no node here begins or ends episodes on demand')

    def record(self, on: bool) -> Answer:
        """Begin or end a bag."""
        try:
            path = self._bag.start() if on else self._bag.stop()
        except (ValueError, OSError) as error:
            return Answer(False, f'no bag: {error}')
        return Answer(True, f'recording {path}' if on else f'{path or "nothing"} is recorded')

    @property
    def recording(self) -> str:
        """The bag that is being recorded."""
        return self._bag.path

    @property
    def checkpoints(self) -> list[str]:
        """The shipped one and those of the folder."""
        folder = self._checkpoints
        found = sorted(folder.rglob(METADATA_FILE)) if folder is not None else []
        return ['shipped', *(str(path.parent) for path in found[:MOST_CHECKPOINTS])]

    async def _set(self, name: str, value: ParameterValue, done: str) -> Answer:
        request = SetParameters.Request(parameters=[Parameter(name=name, value=value)])
        response = await _ask(self._parameters, request)
        if response is None:
            return Answer(False, f'{name}: the planner does not answer')
        (result,) = response.results
        return Answer(result.successful, done if result.successful else result.reason)

    async def _trigger(self, name: str) -> Answer:
        response = await _ask(self._triggers[name], Trigger.Request())
        if response is None:
            return Answer(False, f'{name}: no answer')
        return Answer(response.success, response.message)


async def _ask(client: Client, request: Any) -> Any:
    """The response; None where there is none in time."""
    if not client.service_is_ready():
        return None
    loop = asyncio.get_running_loop()
    answered = asyncio.Event()
    future = client.call_async(request)
    future.add_done_callback(lambda _: loop.call_soon_threadsafe(answered.set))
    try:
        await asyncio.wait_for(answered.wait(), TIMEOUT)
    except TimeoutError:
        client.remove_pending_request(future)
        return None
    return future.result()
