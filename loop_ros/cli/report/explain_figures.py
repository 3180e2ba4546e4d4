# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures about a snapshot: what happened, what was believed, where plans lead."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from loop_ros.cli.places import planned_path, positions
from loop_ros.cli.report import map_figure
from loop_ros.cli.report.figures import COLOURS, GREY, Figure
from loop_ros.cli.report.map_figure import Departures
from loop_ros.cli.report.panels import (
    LIMIT,
    PLANNED,
    RECORDED,
    Panel,
    dots,
    level,
    line,
    stacked,
)
from loop_ros.cli.snapshot_summary import Alternatives, prediction_errors, seconds
from loop_ros.control.supervisor import NAMES
from loop_ros.snapshots.files import Snapshot
from loop_ros.types import Array

MOST_ACTIONS = 4  # that have a panel
_BELIEVED = (
    'Of each plan, when it was made. Error: of the state that a plan which was followed predicted, '
    'the most of any component, in the standard deviations that the models gave it; dashed: '
    'distrust_band.'
)
_ZOOM = 'A drag zooms all panels, a double click zooms out.'


def happened(snapshot: Snapshot, shown: float) -> Figure:
    """Levels, commands and missed periods; the last `shown` seconds before the event in sight."""
    task, commands = snapshot.task, snapshot.columns.commands
    time = seconds(snapshot, commands.time)
    late = np.flatnonzero(np.diff(commands.missed, prepend=commands.missed[:1]) > 0)

    def levels(figure: go.Figure, row: int) -> None:
        values = commands.level.astype(np.float64)
        line(figure, row, time, values, 'level', PLANNED, shape='hv')
        dots(figure, row, time[late], values[late], 'no plan in time', LIMIT)
        ticks = {'tickvals': list(range(len(NAMES))), 'ticktext': list(NAMES)}
        figure.update_yaxes(range=[4.4, -0.4], row=row, **ticks)

    def action(place: int) -> Panel:
        def into(figure: go.Figure, row: int) -> None:
            label = task.action_labels[place]
            line(figure, row, time, commands.action[:, place], label, RECORDED, shape='hv')
            for limit in (task.action_low[place], task.action_high[place]):
                level(figure, row, limit)

        return Panel(f'{task.action_labels[place]} ({task.action_interfaces[place]})', into)

    count = min(MOST_ACTIONS, len(task.action_labels))
    panels = [Panel('level; dots: no plan in time', levels)]
    drawn = stacked([*panels, *map(action, range(count))])
    _around(drawn, time, shown)
    return Figure(
        'What happened',
        f'Time in s since the event, which is the dotted line. Dashed: limits. {_ZOOM}',
        drawn,
    )


def believed(snapshot: Snapshot, shown: float) -> Figure:
    """What plans predicted, how far off they were, and how long they took."""
    plans, task = snapshot.columns.plans, snapshot.task
    time = seconds(snapshot, plans.time)

    def metric(name: str, label: str, colour: str = PLANNED, dash: str = 'solid') -> Panel:
        def into(figure: go.Figure, row: int) -> None:
            line(figure, row, time, plans.metric(name), label, colour, dash)

        return Panel(label, into)

    def cost(figure: go.Figure, row: int) -> None:
        line(figure, row, time, plans.metric('worst_cost'), 'worst cost', PLANNED)
        line(figure, row, time, plans.metric('d0'), 'd0', LIMIT, 'dash', 'hv')
        figure.update_yaxes(rangemode='tozero', row=row)

    def safe(figure: go.Figure, row: int) -> None:
        line(figure, row, time, plans.metric('safe_fraction'), 'safe share', PLANNED)
        figure.update_yaxes(range=[-0.05, 1.05], row=row)

    def took(figure: go.Figure, row: int) -> None:
        line(figure, row, time, 1e3 * plans.metric('plan_s'), 'plan, ms', PLANNED)
        level(figure, row, 1e3 * task.control_period)
        figure.update_yaxes(rangemode='tozero', row=row)

    panels = [
        Panel('worst predicted cost, and d0 (dashed)', cost),
        Panel('share of sequences that keep d0', safe),
        metric('predicted_return', 'predicted return'),
    ]
    errors = prediction_errors(snapshot)
    if np.isfinite(errors).any():
        panels.append(_error(snapshot, time, errors))
    panels.append(Panel('time of a plan, ms; dashed: control period', took))
    drawn = stacked(panels)
    _around(drawn, time, shown)
    return Figure('What the planner believed', _BELIEVED, drawn)


def _error(snapshot: Snapshot, time: Array, errors: Array) -> Panel:
    band = snapshot.metadata['parameters'].get('distrust_band')

    def into(figure: go.Figure, row: int) -> None:
        line(figure, row, time, errors, 'error', PLANNED)
        if isinstance(band, int | float):
            level(figure, row, float(band))
        figure.update_yaxes(rangemode='tozero', row=row)

    return Panel('error of the predicted state, in deviations', into)


def seen_from_above(snapshot: Snapshot, found: Alternatives, around: float) -> Figure | None:
    """The line driven `around` the event (s), and plans at other thresholds where they differ.

    None for a task that draws no path.
    """
    task, states, plans = snapshot.task, snapshot.columns.states, snapshot.columns.plans
    since = seconds(snapshot, states.time)
    shown = (since >= -around) & (since <= around)
    driven = positions(task, states.observation[shown])
    if not len(driven):
        return None
    driven[states.restart[shown]] = np.nan  # the line breaks where an episode begins

    def path(number: int, place: int) -> Array:
        observation = plans.observation[found.rows[number]]
        return planned_path(task, observation, found.outlooks[number].alternatives.states[place])

    departures = []
    for place, d0 in enumerate(found.thresholds):
        numbers = found.differs(snapshot, place)
        if numbers:
            paths = [path(number, place) for number in numbers]
            colour = COLOURS[(2, 0, 4, 5, 6, 7, 3)[place % 7]]
            departures.append(Departures(f'd0 = {d0:g}', colour, paths))
    marked = []
    if found.rows:
        row = found.rows[-1]
        last = planned_path(task, plans.observation[row], plans.states[row])
        departures.append(Departures('last plan', GREY, [last], 'dot'))
        marked.append((positions(task, plans.observation[row : row + 1])[0], 'event'))
    return map_figure.draw(
        'Where plans would have led',
        f'Orange: driven, {around:g} s before and after. In colour: plans of the last seconds '
        'where they begin with another action '
        'at another d0, up to their horizon. Grey: the last plan before the event.',
        driven,
        departures,
        marked,
    )


def _around(figure: go.Figure, time: Array, shown: float) -> None:
    """The event as a line, and the seconds around it in sight."""
    figure.add_vline(x=0, line={'color': GREY, 'width': 1, 'dash': 'dot'})
    if len(time):
        left = max(-shown, float(time[0]))
        right = min(shown, max(float(time[-1]), 0.0)) + 0.1
        figure.update_xaxes(range=[left, right])
