# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A replayed episode as one figure: panels over a common time."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from loop_ros.agent import Agent
from loop_ros.cli.replay_episodes import Replayed, predicts
from loop_ros.cli.replay_summary import DIFFERENT, is_different
from loop_ros.cli.report import map_figure
from loop_ros.cli.report.figures import GREY, Figure
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

_CAPTION = (
    'Orange: recorded. Blue: of the plans. Dashed: the limits of an action, and d0. Numbered: the '
    'differences listed above. Cost: dots are that of the step, the line is what was recorded over '
    'as many steps as a plan looks ahead, to compare with the worst that the plan predicts. Model '
    'error: after one recorded action, dotted how far the models are apart. A drag zooms all '
    'panels, a double click zooms out.'
)


def draw(agent: Agent, episode: Replayed, marked: dict[int, int]) -> Figure:
    """The episode; `marked` are rows and the numbers that they get."""
    panels = [*_actions(agent, episode), _distance(episode), _reward(episode)]
    if predicts(agent):
        panels[-1:-1] = [_predicted_return(episode)]
        panels += [_cost(agent, episode), _safe(episode), _model(episode)]
    else:
        panels.append(Panel('recorded cost', lambda figure, row: _dots(figure, row, episode)))
    drawn = stacked(panels)
    _mark(drawn, episode, marked)
    steps = len(episode.step)
    cut = '' if episode.whole else ', cut there'
    return Figure(f'Episode {episode.number}: {steps:,} steps{cut}', _CAPTION, drawn)


def draw_map(episode: Replayed, marked: dict[int, int]) -> Figure | None:
    """The driven line, and plans that are not what was done; None where none is, or no path."""
    rows = np.flatnonzero(is_different(episode)).tolist()
    paths = [episode.paths[row] for row in rows if row in episode.paths]
    if not paths:
        return None
    return map_figure.draw(
        'From above',
        f'Orange: driven. Blue: plans that begin with an action over {DIFFERENT:g} of its range '
        f'from what was done, up to their horizon; at most {map_figure.MOST} of them, evenly '
        'spread. Numbered: the differences listed above.',
        episode.driven,
        [Departures(f'plans that differ ({len(paths):,})', PLANNED, paths)],
        [(episode.driven[row], str(rank)) for row, rank in marked.items()],
    )


def _actions(agent: Agent, episode: Replayed) -> list[Panel]:
    task = agent.task

    def panel(index: int, label: str) -> Panel:
        def into(figure: go.Figure, row: int) -> None:
            line(figure, row, episode.time, episode.recorded[:, index], 'recorded', RECORDED)
            line(figure, row, episode.time, episode.planned[:, index], 'planned', PLANNED)
            for limit in (task.action_low[index], task.action_high[index]):
                level(figure, row, limit)

        return Panel(f'{label} ({task.action_interfaces[index]})', into)

    return [panel(index, label) for index, label in enumerate(task.action_labels)]


def _distance(episode: Replayed) -> Panel:
    def into(figure: go.Figure, row: int) -> None:
        line(figure, row, episode.time, episode.distance, 'distance', PLANNED)
        far = is_different(episode)
        name = f'over {DIFFERENT:g} of a range'
        dots(figure, row, episode.time[far], episode.distance[far], name, LIMIT)
        figure.update_yaxes(rangemode='tozero', row=row)

    return Panel(f'distance of the actions in [-1, 1]; dots: over {DIFFERENT:g} of a range', into)


def _predicted_return(episode: Replayed) -> Panel:
    return Panel(
        'predicted return of the plan, with the value of its end',
        lambda figure, row: line(
            figure, row, episode.time, episode.predicted_return, 'predicted return', PLANNED
        ),
    )


def _reward(episode: Replayed) -> Panel:
    return Panel(
        'recorded reward',
        lambda figure, row: line(figure, row, episode.time, episode.reward, 'reward', RECORDED),
    )


def _cost(agent: Agent, episode: Replayed) -> Panel:
    planner = agent.settings.planner

    def into(figure: go.Figure, row: int) -> None:
        line(figure, row, episode.time, episode.cost_ahead, 'recorded ahead', RECORDED)
        line(figure, row, episode.time, episode.worst_cost, 'worst predicted', PLANNED)
        _dots(figure, row, episode)
        level(figure, row, planner.d0)

    return Panel(f'cost over {planner.horizon} steps, and d0 = {planner.d0:g}', into)


def _safe(episode: Replayed) -> Panel:
    def into(figure: go.Figure, row: int) -> None:
        line(figure, row, episode.time, episode.safe_fraction, 'safe share', PLANNED)
        figure.update_yaxes(range=[-0.05, 1.05], row=row)

    return Panel('share of sequences that are safe', into)


def _model(episode: Replayed) -> Panel:
    def into(figure: go.Figure, row: int) -> None:
        line(figure, row, episode.time, episode.model_error, 'model error', PLANNED)
        line(figure, row, episode.time, episode.model_spread, 'models apart', PLANNED, 'dot')
        figure.update_yaxes(rangemode='tozero', row=row)

    return Panel('model error after a step, in standard deviations', into)


def _dots(figure: go.Figure, row: int, episode: Replayed) -> None:
    """The cost of each step that had one."""
    costly = episode.cost > 0
    dots(figure, row, episode.time[costly], episode.cost[costly], 'recorded cost', RECORDED)
    figure.update_yaxes(rangemode='tozero', row=row)


def _mark(figure: go.Figure, episode: Replayed, marked: dict[int, int]) -> None:
    """A numbered line through all panels."""
    for row, rank in marked.items():
        time = float(episode.time[row])
        figure.add_shape(
            type='line',
            **{'x0': time, 'x1': time, 'xref': 'x', 'y0': 0, 'y1': 1, 'yref': 'paper'},
            line={'color': GREY, 'width': 1, 'dash': 'dot'},
            layer='below',
        )
        figure.add_annotation(
            text=str(rank),
            **{'x': time, 'xref': 'x', 'y': 1, 'yref': 'paper', 'yshift': 30},
            showarrow=False,
            font={'size': 11},
        )
