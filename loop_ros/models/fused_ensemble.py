# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The copy of the ensemble for planning as one GPU kernel: H steps without leaving it.

A program carries a block of rows of one model through all steps. Its states and activations stay on
the chip; weights stream from the cache, where all of them fit.
"""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from loop_ros.models.ensemble import Ensemble
from loop_ros.models.planning_ensemble import PlanningEnsemble, Trajectory

try:
    import triton
    from triton import language as tl

    _jit = triton.jit
except ImportError:  # torch for the CPU comes without it
    triton = None

    def _jit(function: Any) -> Any:
        return function


BLOCKS = (16, 32, 64)  # rows of a program; tensor cores take no fewer than 16
_WARPS = 8


class FusedEnsemble(PlanningEnsemble):
    """Predicts as PlanningEnsemble does."""

    def __init__(
        self, ensemble: Ensemble, dtype: torch.dtype = torch.float32, block: int | None = None
    ) -> None:
        """`block` sets the rows of a program, one of BLOCKS; None: as suits the device.

        ImportError without Triton, RuntimeError for another activation or on a GPU that it does not
        suit.
        """
        if triton is None:
            raise ImportError('the fused rollout needs triton, which comes with torch for CUDA')
        super().__init__(ensemble, dtype)
        if not self._silu:
            raise RuntimeError('the fused rollout has no activation but silu')
        if self.device.type == 'cuda' and torch.cuda.get_device_capability(self.device) < (8, 0):
            raise RuntimeError('the fused rollout needs a GPU of 2020 or later (capability 8.0)')
        # The layers between hidden ones, and the biases of hidden ones, each in one piece.
        models, _, width = self.weights[0].shape
        layers = len(self.weights) - 2
        self._between = self._zeros(layers, models, width, width)
        self._shifts = self._zeros(layers + 1, models, 1, width)
        self.weights[1:-1] = self._between.unbind()
        self.biases[:-1] = self._shifts.unbind()
        self._block = block
        self._results: dict[tuple[int, int], Trajectory] = {}
        self.refresh()

    def roll(self, state: Tensor, actions: Tensor, noise: Tensor | None = None) -> Trajectory:
        """As PlanningEnsemble.roll, by which groups with noise of their own go."""
        if noise is not None and noise.ndim == 5:
            return super().roll(state, actions, noise)
        horizon, num, _ = actions.shape
        particles = 1 if noise is None else noise.shape[2]
        rows = num * particles
        result = self._result(horizon, rows)
        states = state.expand(self.num_models, rows, -1)
        by_model = actions.unsqueeze(1).expand(-1, self.num_models, -1, -1)
        self._launch(states, by_model, noise, result, particles)
        return result

    def step(self, states: Tensor, actions: Tensor) -> Tensor:
        """The mean next states [K, B, S] of states [K, B, S] under actions [K, B, A]."""
        result = self._result(1, states.shape[1])
        self._launch(states, actions.unsqueeze(0), None, result, particles=1)
        return result.states[0].clone()

    def _launch(
        self,
        states: Tensor,
        actions: Tensor,
        noise: Tensor | None,
        result: Trajectory,
        particles: int,
    ) -> None:
        """Roll states [K, B, S] under actions [H, K, B/P, A]."""
        horizon, models, rows, _ = result.states.shape
        inputs, width = self.weights[0].shape[1:]
        block = self._block or self._suitable_block(rows)
        _roll_rows[(-(-rows // block), models)](
            states, actions, noise, *result,
            self.weights[0], self._between, self.weights[-1], self._shifts, self.biases[-1],
            self.input_scale, self.input_shift, self.output_scale, self.output_shift,
            self.low, self.span,
            horizon, models, rows, particles, *states.stride(), *actions.stride(),
            STATE=self.state_dim, INPUTS=inputs, WIDTH=width, LAYERS=len(self._between),
            OUTPUTS=len(self.output_scale), NOISY=noise is not None, BLOCK=block,
            STATE_TILE=_tile(self.noisy_dim + 1), ACTION_TILE=_tile(inputs - self.state_dim),
            WIDTH_TILE=_tile(width),
            WIDEN=self.device.type == 'cpu',  # the interpreter multiplies no bfloat16
            num_warps=_WARPS, num_stages=1,
        )  # fmt: skip

    def _suitable_block(self, rows: int) -> int:
        """The smallest block whose programs all run at once: every one streams all weights."""
        if self.device.type != 'cuda':
            return BLOCKS[-1]
        processors = torch.cuda.get_device_properties(self.device).multi_processor_count
        fitting = (b for b in BLOCKS if -(-rows // b) * self.num_models <= processors)
        return next(fitting, BLOCKS[-1])

    def _result(self, horizon: int, rows: int) -> Trajectory:
        """Buffers of one shape, allocated once; a GPU has one planner thread."""
        if (horizon, rows) not in self._results:
            with torch.inference_mode(False):
                shape = horizon, self.num_models, rows
                self._results[horizon, rows] = Trajectory(
                    self._float32(*shape, self.state_dim), self._float32(*shape),
                    self._float32(*shape),
                )  # fmt: skip
        return self._results[horizon, rows]


def _tile(size: int) -> int:
    """The smallest tile that holds `size` rows or columns: a power of two, as Triton has it."""
    return max(16, 1 << (size - 1).bit_length())


@_jit
def _dot(x, weight, WIDEN: tl.constexpr):  # type: ignore[no-untyped-def]
    """The product in the weight's precision, summed in float32."""
    x = x.to(weight.dtype)
    if WIDEN:
        x, weight = x.to(tl.float32), weight.to(tl.float32)
    return tl.dot(x, weight, input_precision='ieee')


@_jit
def _roll_rows(  # type: ignore[no-untyped-def]
    states, actions, noise, path, rewards, costs,
    first, between, last, shifts, last_shift,
    input_scale, input_shift, output_scale, output_shift, low, span,
    horizon, models, rows, particles,
    state_k, state_row, state_column, action_t, action_k, action_row, action_column,
    STATE: tl.constexpr, INPUTS: tl.constexpr, WIDTH: tl.constexpr, LAYERS: tl.constexpr,
    OUTPUTS: tl.constexpr, NOISY: tl.constexpr, BLOCK: tl.constexpr,
    STATE_TILE: tl.constexpr, ACTION_TILE: tl.constexpr, WIDTH_TILE: tl.constexpr,
    WIDEN: tl.constexpr,
):  # fmt: skip
    """One block of rows of one model. Tiles hold zeros beyond the sizes that they stand for.

    The state's tile is the output's too: S states, the reward, the cost.
    """
    k = tl.program_id(1)
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    column = tl.arange(0, STATE_TILE)
    is_row, is_state, is_noisy = row < rows, column < STATE, column <= STATE
    is_mean = column <= STATE + 1
    action = tl.arange(0, ACTION_TILE)
    is_action = action < INPUTS - STATE
    unit = tl.arange(0, WIDTH_TILE)
    is_unit = unit < WIDTH
    MIDDLE: tl.constexpr = WIDTH_TILE // 2
    half = tl.arange(0, MIDDLE)
    # Delta-state and reward lie first, their log-variances next, the cost after them.
    mean_column = tl.where(column == STATE + 1, 2 * (STATE + 1), column)
    spread_column = STATE + 1 + column

    state_scale = tl.load(input_scale + column, is_state, 0.0)
    state_shift = tl.load(input_shift + column, is_state, 0.0)
    action_scale = tl.load(input_scale + STATE + action, is_action, 0.0)
    action_shift = tl.load(input_shift + STATE + action, is_action, 0.0)
    mean_scale = tl.load(output_scale + mean_column, is_mean, 0.0)
    mean_shift = tl.load(output_shift + mean_column, is_mean, 0.0)
    spread_scale = tl.load(output_scale + spread_column, is_noisy, 0.0)
    spread_shift = tl.load(output_shift + spread_column, is_noisy, 0.0)
    lowest = tl.load(low + column, is_noisy, 0.0)
    widest = tl.load(span + column, is_noisy, 0.0)

    first += k * INPUTS * WIDTH
    from_state = tl.load(
        first + column[:, None] * WIDTH + unit, is_state[:, None] & is_unit[None, :], 0.0
    )
    from_action = tl.load(
        first + (STATE + action[:, None]) * WIDTH + unit, is_action[:, None] & is_unit, 0.0
    )
    last += k * WIDTH * OUTPUTS + unit[:, None] * OUTPUTS
    to_mean = tl.load(last + mean_column, is_unit[:, None] & is_mean, 0.0)
    mean_bias = tl.load(last_shift + k * OUTPUTS + mean_column, is_mean, 0.0)
    to_spread = tl.load(last + spread_column, is_unit[:, None] & is_noisy, 0.0)
    spread_bias = tl.load(last_shift + k * OUTPUTS + spread_column, is_noisy, 0.0)

    state = tl.load(
        states + k * state_k + row[:, None] * state_row + column * state_column,
        is_row[:, None] & is_state, 0.0,
    )  # fmt: skip
    for t in range(horizon):
        chosen = tl.load(
            actions + t * action_t + k * action_k
            + (row // particles)[:, None] * action_row + action * action_column,
            is_row[:, None] & is_action, 0.0,
        )  # fmt: skip
        raw = _dot(state * state_scale + state_shift, from_state, WIDEN)
        raw += _dot(chosen * action_scale + action_shift, from_action, WIDEN)
        raw += tl.load(shifts + k * WIDTH + unit, is_unit, 0.0)
        for layer in range(LAYERS):
            hidden = raw * tl.sigmoid(raw)
            weight = between + (layer * models + k) * WIDTH * WIDTH + unit[:, None] * WIDTH
            left = tl.load(weight + half, is_unit[:, None] & (half < WIDTH), 0.0)
            left = _dot(hidden, left, WIDEN)
            right = tl.load(weight + MIDDLE + half, is_unit[:, None] & (MIDDLE + half < WIDTH), 0.0)
            right = _dot(hidden, right, WIDEN)
            raw = tl.join(left, right).permute(0, 2, 1).reshape(BLOCK, WIDTH_TILE)
            raw += tl.load(shifts + ((layer + 1) * models + k) * WIDTH + unit, is_unit, 0.0)
        hidden = raw * tl.sigmoid(raw)
        output = _dot(hidden, to_mean, WIDEN) + mean_bias
        output = output * mean_scale + mean_shift
        if NOISY:
            spread = _dot(hidden, to_spread, WIDEN) + spread_bias
            spread = tl.sqrt(lowest + widest * tl.sigmoid(spread * spread_scale + spread_shift))
            drawn = tl.load(
                noise + ((t * models + k) * particles + row % particles)[:, None] * (STATE + 1)
                + column, is_row[:, None] & is_noisy, 0.0,
            )  # fmt: skip
            output += spread * drawn
        state = tl.where(is_state, state + output, 0.0)
        at = (t * models + k) * rows + row[:, None].to(tl.int64)
        tl.store(path + at * STATE + column, state, is_row[:, None] & is_state)
        tl.store(rewards + at + 0 * column, output, is_row[:, None] & (column == STATE))
        tl.store(costs + at + 0 * column, output, is_row[:, None] & (column == STATE + 1))
