# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of one browser: what the operator sees, and what a click asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from html import escape
from importlib.resources import files

from nicegui import ui

from loop_ros.control.supervisor import NAMES
from loop_ros.panel import curves
from loop_ros.panel.controls import Answer, Controls
from loop_ros.panel.history import History, Snapshot
from loop_ros.panel.picture import photograph, top_view
from loop_ros.panel.threshold import ThresholdCard
from loop_ros.sim.task import Task

PLANNER = ('plan_s p99', 'missed periods', 'state rate (Hz)', 'weights version', 'trial of weights')
PICTURES, FIGURES = 0.2, 0.5  # s between two updates of the top view, of all else
STYLE = files('loop_ros.panel').joinpath('style.css').read_text(encoding='utf-8')


class Page:
    """Built once for each browser that opens the panel."""

    def __init__(self, history: History, controls: Controls, task: Task) -> None:
        self._history, self._controls, self._task = history, controls, task
        self._asked_to_reset = False
        ui.dark_mode(None)  # as the browser likes it
        ui.add_css(STYLE)
        with ui.header().classes('top'):
            self._level = ui.label().classes('level').props('data-testid=level')
            self._reason = ui.label().classes('reason').props('data-testid=reason')
            ui.space()
            stop = self._button('stop', 'Stop', lambda: controls.call('stop'))
            stop.classes('stop').props('color=negative')
            self._reset = ui.button('Reset', on_click=self._on_reset)
            self._reset.props('data-testid=reset outline color=white')
        with ui.element('main').classes('panel'):
            with ui.element('section').classes('view'):
                self._view = ui.html('', sanitize=False).props('data-testid=view')
                self._metrics = ui.label().classes('metrics').props('data-testid=metrics')
                self._figures = ui.html('', sanitize=False).props('data-testid=figures')
            with ui.element('section').classes('steer'):
                self._threshold = ThresholdCard(controls, task.default_d0, self._report)
                self._actions()
            with ui.element('section').classes('charts'):
                self._charts = {
                    name: ui.echart(curves.options(name)).classes('chart') for name in curves.CHARTS
                }
        ui.timer(PICTURES, self._draw)
        ui.timer(FIGURES, self._update)

    def _actions(self) -> None:
        controls = self._controls
        with ui.card().classes('card'):
            with ui.row().classes('items-center'):
                self._button('explain', 'Explain', self._explain)
                self._record = self._button('record', 'Record', self._on_record)
                self._button('begin', 'Begin episode', lambda: controls.episode(True))
                self._button('end', 'End episode', lambda: controls.episode(False))
            with ui.row().classes('items-center full'):
                self._checkpoint = (
                    ui.input('checkpoint', autocomplete=controls.checkpoints)
                    .props('data-testid=checkpoint dense')
                    .classes('grow')
                )
                self._button('load', 'Try weights', self._on_load)
            self._said = ui.label().classes('said').props('data-testid=said')

    def _button(self, name: str, text: str, action: Callable[[], Awaitable[Answer]]) -> ui.button:
        async def clicked() -> None:
            self._report(await action())

        return ui.button(text, on_click=clicked).props(f'data-testid={name} no-caps')

    async def _on_reset(self) -> None:
        """What held the robot is let go by a second click only."""
        seen = self._history.snapshot()
        if seen.latched and not self._asked_to_reset:
            self._asked_to_reset = True
            self._reset.text = 'Drive again: click once more'
            self._report(Answer(True, f'it was stopped by: {seen.reason}'))
            ui.timer(5.0, self._forget_reset, once=True)
            return
        self._forget_reset()
        self._report(await self._controls.call('reset'))

    def _forget_reset(self) -> None:
        self._asked_to_reset = False
        self._reset.text = 'Reset'

    async def _explain(self) -> Answer:
        return await self._controls.call('explain')

    async def _on_record(self) -> Answer:
        return self._controls.record(not self._controls.recording)

    async def _on_load(self) -> Answer:
        return await self._controls.load(self._checkpoint.value or '')

    def _report(self, answer: Answer) -> None:
        self._said.text = answer.message
        self._said.classes(replace='said' if answer.success else 'said failed')

    def _draw(self) -> None:
        seen = self._history.snapshot()
        if self._task.draws_plane:
            self._view.content = top_view(seen, self._task.drawing, self._threshold.preview)
        elif seen.picture is not None:
            self._view.content = photograph(seen.picture)
        level = 'absent' if seen.silent else NAMES[seen.level]
        self._level.text = level
        self._level.classes(replace=f'level {"level-absent" if seen.silent else _level(seen)}')
        self._reason.text = 'nothing is heard of the planner' if seen.silent else seen.reason
        self._threshold.update(seen)

    def _update(self) -> None:
        seen = self._history.snapshot()
        for name, chart in self._charts.items():
            for line, points in zip(
                chart.options['series'],
                curves.data(name, seen, self._task.control_period),
                strict=True,
            ):
                line['data'] = points
            chart.update()
        self._metrics.text = _metrics(seen, self._task)
        self._figures.content = _figures(seen)
        self._record.text = 'End recording' if self._controls.recording else 'Record'


def _level(seen: Snapshot) -> str:
    return f'level-{seen.level}'


def _metrics(seen: Snapshot, task: Task) -> str:
    if seen.observation is None:
        return 'no state so far'
    found = task.metrics(seen.observation)
    units = {curve.metric: f' {curve.unit}' for curve in task.drawing.curves if curve.unit}
    return '   '.join(f'{name} {value:.2f}{units.get(name, "")}' for name, value in found.items())


def _figures(seen: Snapshot) -> str:
    """What planner and learner say of themselves, as tables."""
    planner = {name: text for name, text in seen.planner.values.items() if name in PLANNER}
    learner = seen.learner.values if seen.learner is not None else {'none is heard': ''}
    return _table('planner', planner) + _table('learner', learner)


def _table(title: str, values: dict[str, str]) -> str:
    rows = ''.join(
        f'<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>' for name, text in values.items()
    )
    return f'<table class="figures"><caption>{title}</caption>{rows}</table>'
