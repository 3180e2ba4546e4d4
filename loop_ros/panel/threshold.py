# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The threshold: what is in use, what another one would do, and the choice of it."""

from __future__ import annotations

import time
from collections.abc import Callable

from nicegui import ui

from loop_ros.panel.controls import Answer, Controls
from loop_ros.panel.history import Snapshot

COLUMNS = ('d0', 'safe', 'return', 'worst cost', 'keeps d0')
STEP = 0.05  # of the slider
LARGEST = 8.0  # of the slider, where no threshold of the outlook is larger


class ThresholdCard:
    """A slider that previews, a button that sets, a table of what would be."""

    def __init__(
        self, controls: Controls, default: float, report: Callable[[Answer], None]
    ) -> None:
        """`report` shows an answer."""
        self._controls, self._report = controls, report
        self._asked: tuple[float, float] | None = None  # d0, and when it was asked for
        self._touched = False  # before that the slider follows what is in use
        with ui.card().classes('card'):
            self._effective = ui.label().classes('effective').props('data-testid=effective')
            with ui.row().classes('items-center full'):
                self._slider = ui.slider(min=0, max=LARGEST, step=STEP, value=default)
                self._slider.props('data-testid=slider label label-always').classes('grow')
                self._slider.on('update:model-value', self._on_touch)
                ui.button('Set d0', on_click=self._set).props('data-testid=set no-caps')
            ui.label('What if: the same sequences, judged under other d0').classes('hint')
            self._table = ui.table(
                columns=[{'name': name, 'label': name, 'field': name, 'align': 'right'}
                         for name in COLUMNS],
                rows=[],
                row_key='d0',
            ).classes('what-if').props('data-testid=what-if dense flat')  # fmt: skip
            self._table.on('rowClick', self._on_row)

    @property
    def preview(self) -> float | None:
        """The threshold whose plan is to be drawn beside the present one."""
        return float(self._slider.value) if self._touched else None

    def update(self, seen: Snapshot) -> None:
        """Show what is in use, and what would be."""
        self._effective.text = self._state(seen)
        if seen.threshold is not None and not self._touched:
            self._slider.value = seen.threshold.d0
        outlook = seen.outlook
        if outlook is None:
            self._table.rows = []
            return
        if not outlook.heeded:
            self._effective.text += '; the algorithm ignores d0'
        self._table.rows = [
            {'d0': f'{d0:g}', 'safe': f'{safe:.0%}', 'return': f'{value:.3g}',
             'worst cost': f'{cost:.2g}', 'keeps d0': 'yes' if cost <= d0 else 'no'}
            for d0, safe, value, cost in zip(
                outlook.thresholds, outlook.safe_fractions,
                outlook.returns[outlook.alternatives], outlook.costs[outlook.alternatives],
                strict=True)
        ]  # fmt: skip

    def _state(self, seen: Snapshot) -> str:
        if seen.threshold is None:
            return 'd0: no plan so far'
        d0, stamp, received = seen.threshold
        if self._asked is not None:
            asked, at = self._asked
            if abs(d0 - asked) > 1e-9:
                return f'd0 = {d0:g} in use; {asked:g} was asked for, no plan has used it yet'
            if received >= at:
                return (
                    f'd0 = {d0:g} in use since the plan for the state at {stamp:.2f} s, '
                    f'{received - at:.2f} s after it was asked for'
                )
        return f'd0 = {d0:g} in use'

    def _on_touch(self) -> None:
        self._touched = True

    def _on_row(self, event: object) -> None:
        """Choose the threshold of a row."""
        row = getattr(event, 'args')[1]  # noqa: B009
        self._touched, self._slider.value = True, float(row['d0'])

    async def _set(self) -> None:
        wanted = float(self._slider.value)
        self._asked = wanted, time.monotonic()
        answer = await self._controls.set_d0(wanted)
        if not answer.success:
            self._asked = None
        self._touched = False
        self._report(answer)
