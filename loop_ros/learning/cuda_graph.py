# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A training step as one CUDA graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch

WARM_UP = 3  # eager runs before the capture: libraries allocate their workspaces in them


class Graphed:
    """A step on fixed memory: eager on the CPU, on CUDA one graph launch after the warm-up.

    The step takes its inputs from, and leaves its results in, tensors that stay where they are; it
    never waits for the device. Runs that warm up are steps like any other.
    """

    def __init__(
        self,
        step: Callable[[], None],
        device: torch.device,
        generator: torch.Generator | None = None,
    ) -> None:
        self._step, self._generator = step, generator
        self._eager_runs = WARM_UP if device.type == 'cuda' else -1  # -1: for ever
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        """One step."""
        if self._eager_runs == 0 and self._graph is None:
            self._capture()
        if self._graph is not None:
            self._graph.replay()
            return
        self._step()
        self._eager_runs = max(self._eager_runs - 1, -1)

    def _capture(self) -> None:
        """Record the step without running it; where that fails, stay eager and say so."""
        try:
            graph = torch.cuda.CUDAGraph()
            if self._generator is not None:
                graph.register_generator_state(self._generator)
            # Other threads may use the device meanwhile.
            with torch.cuda.graph(graph, capture_error_mode='thread_local'):
                self._step()
            self._graph = graph
        except (RuntimeError, AttributeError) as error:
            reason = str(error).splitlines()[0]
            warnings.warn(f'training runs without a CUDA graph: {reason}', stacklevel=2)
            self._eager_runs = -1
