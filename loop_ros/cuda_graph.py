# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Work of a fixed shape as one CUDA graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 3  # eager runs before the capture: libraries allocate their workspaces in them


def capture(work: Callable[[], None], generator: torch.Generator | None) -> torch.cuda.CUDAGraph:
    """Record work without running it; it reads and writes tensors that stay where they are."""
    graph = torch.cuda.CUDAGraph()
    if generator is not None:
        graph.register_generator_state(generator)
    # Other threads may use the device meanwhile.
    with torch.cuda.graph(graph, capture_error_mode='thread_local'):
        work()
    return graph


class Graphed:
    """A step that never waits for the device: eager on the CPU, on CUDA one graph launch.

    It is captured after a warm-up, for the shapes of its inputs; other shapes run eagerly. Where
    the capture fails it stays eager and says so. Outputs are valid until the next step.
    """

    def __init__(
        self,
        step: Callable[..., dict[str, Tensor]],
        device: torch.device,
        generator: torch.Generator | None = None,
    ) -> None:
        """`step` takes tensors, or None for one that is left out, and returns tensors by name."""
        self._step, self._generator = step, generator
        self._eager_runs = WARM_UP if device.type == 'cuda' else -1  # -1: for ever
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: tuple[Tensor | None, ...] = ()
        self._outputs: dict[str, Tensor] = {}

    def __call__(self, *inputs: Tensor | None) -> dict[str, Tensor]:
        """One step."""
        if self._eager_runs < 0:
            return self._step(*inputs)
        if not self._inputs:
            self._inputs = tuple(None if x is None else x.clone() for x in inputs)
        if _shapes(inputs) != _shapes(self._inputs):
            return self._step(*inputs)
        for own, given in zip(self._inputs, inputs, strict=True):
            if own is not None and given is not None:
                own.copy_(given)
        if self._eager_runs == 0 and self._graph is None:
            self._capture()
        if self._graph is None:
            self._eager_runs = max(self._eager_runs - 1, -1)
            return self._step(*self._inputs)
        self._graph.replay()
        return self._outputs

    def _capture(self) -> None:
        def work() -> None:
            self._outputs = self._step(*self._inputs)

        try:
            self._graph = capture(work, self._generator)
        except (RuntimeError, AttributeError) as error:
            reason = str(error).splitlines()[0]
            warnings.warn(f'training runs without a CUDA graph: {reason}', stacklevel=2)
            self._eager_runs = -1


def _shapes(inputs: tuple[Tensor | None, ...]) -> list[torch.Size | None]:
    return [None if x is None else x.shape for x in inputs]
