# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A replayed episode as one figure: panels over a common time."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from loop_ros.agent import Agent
from loop_ros.cli.replay_episodes import Replayed, predicts
from loop_ros.cli.replay_summary import DIFFERENT, is_different
from loop_ros.cli.report.figures import COLOURS, GREY, Figure, short
from loop_ros.types import Array

RECORDED, PLANNED, LIMIT = COLOURS[1], COLOURS[0], COLOURS[3]
_PANEL = 120  # pixels
_CAPTION = (
    'Orange: recorded. Blue: of the plans. Dashed: the limits of an action, and d0. Numbered: the '
    'differences listed above. Cost: dots are that of the step, the line is what was recorded over '
    'as many steps as a plan looks ahead, to compare with the worst that the plan predicts. Model '
    'error: after one recorded action, dotted how far the models are apart. A drag zooms all '
    'panels, a double click zooms out.'
)


@dataclass(frozen=True)
class Panel:
    """A strip of the figure."""

    title: str
    draw: Callable[[go.Figure, int], None]  # into a row


def draw(agent: Agent, episode: Replayed, marked: dict[int, int]) -> Figure:
    """The episode; `marked` are rows and the numbers that they get."""
    panels = [*_actions(agent, episode), _distance(episode), _reward(episode)]
    if predicts(agent):
        panels[-1:-1] = [_predicted_return(episode)]
        panels += [_cost(agent, episode), _safe(episode), _model(episode)]
    else:
        panels.append(Panel('recorded cost', lambda figure, row: _dots(figure, row, episode)))
    drawn = make_subplots(
        rows=len(panels),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.3 / len(panels),
        subplot_titles=[html.escape(panel.title) for panel in panels],
    )
    for row, panel in enumerate(panels, 1):
        panel.draw(drawn, row)
    # plotly centres the titles; at the left they can be read down the page.
    drawn.update_annotations(x=0, xanchor='left', font={'size': 12})
    _mark(drawn, episode, marked)
    drawn.update_layout(
        template='none',
        height=_PANEL * len(panels) + 60,
        margin={'l': 60, 'r': 16, 't': 44, 'b': 36},
        showlegend=False,
        hovermode='x unified',
    )
    drawn.update_yaxes(hoverformat='.4g', automargin=True, nticks=4)
    drawn.update_xaxes(title_text='s', row=len(panels))
    steps = len(episode.step)
    cut = '' if episode.whole else ', cut there'
    return Figure(f'Episode {episode.number}: {steps:,} steps{cut}', _CAPTION, drawn)


def _actions(agent: Agent, episode: Replayed) -> list[Panel]:
    task = agent.task

    def panel(index: int, label: str) -> Panel:
        def into(figure: go.Figure, row: int) -> None:
            _line(figure, row, episode, episode.recorded[:, index], 'recorded', RECORDED)
            _line(figure, row, episode, episode.planned[:, index], 'planned', PLANNED)
            for limit in (task.action_low[index], task.action_high[index]):
                _level(figure, row, limit)

        return Panel(f'{label} ({task.action_interfaces[index]})', into)

    return [panel(index, label) for index, label in enumerate(task.action_labels)]


def _distance(episode: Replayed) -> Panel:
    def into(figure: go.Figure, row: int) -> None:
        _line(figure, row, episode, episode.distance, 'distance', PLANNED)
        far = is_different(episode)
        figure.add_scatter(
            x=short(episode.time[far]),
            y=short(episode.distance[far]),
            mode='markers',
            marker={'color': LIMIT, 'size': 6},
            name=f'over {DIFFERENT:g} of a range',
            row=row,
            col=1,
        )
        figure.update_yaxes(rangemode='tozero', row=row)

    return Panel(f'distance of the actions in [-1, 1]; dots: over {DIFFERENT:g} of a range', into)


def _predicted_return(episode: Replayed) -> Panel:
    return Panel(
        'predicted return of the plan, with what comes after its horizon',
        lambda figure, row: _line(
            figure, row, episode, episode.predicted_return, 'predicted return', PLANNED
        ),
    )


def _reward(episode: Replayed) -> Panel:
    return Panel(
        'recorded reward',
        lambda figure, row: _line(figure, row, episode, episode.reward, 'reward', RECORDED),
    )


def _cost(agent: Agent, episode: Replayed) -> Panel:
    planner = agent.settings.planner

    def into(figure: go.Figure, row: int) -> None:
        _line(figure, row, episode, episode.cost_ahead, 'recorded ahead', RECORDED)
        _line(figure, row, episode, episode.worst_cost, 'worst predicted', PLANNED)
        _dots(figure, row, episode)
        _level(figure, row, planner.d0)

    return Panel(f'cost over {planner.horizon} steps, and d0 = {planner.d0:g}', into)


def _safe(episode: Replayed) -> Panel:
    def into(figure: go.Figure, row: int) -> None:
        _line(figure, row, episode, episode.safe_fraction, 'safe share', PLANNED)
        figure.update_yaxes(range=[-0.05, 1.05], row=row)

    return Panel('share of sequences that are safe', into)


def _model(episode: Replayed) -> Panel:
    def into(figure: go.Figure, row: int) -> None:
        _line(figure, row, episode, episode.model_error, 'model error', PLANNED)
        _line(figure, row, episode, episode.model_spread, 'models apart', PLANNED, 'dot')
        figure.update_yaxes(rangemode='tozero', row=row)

    return Panel('model error after a step, in standard deviations of the training data', into)


def _line(
    figure: go.Figure,
    row: int,
    episode: Replayed,
    values: Array,
    name: str,
    colour: str,
    dash: str = 'solid',
) -> None:
    """Values [T] over time; steps without one, as between plans, are passed over."""
    known = np.isfinite(values)
    figure.add_scatter(
        x=short(episode.time[known]),
        y=short(values[known]),
        mode='lines' if known.sum() > 1 else 'markers',
        name=name,
        line={'color': colour, 'dash': dash, 'width': 1.5},
        row=row,
        col=1,
    )


def _dots(figure: go.Figure, row: int, episode: Replayed) -> None:
    """The cost of each step that had one."""
    costly = episode.cost > 0
    figure.add_scatter(
        x=short(episode.time[costly]),
        y=short(episode.cost[costly]),
        mode='markers',
        marker={'color': RECORDED, 'size': 5},
        name='recorded cost',
        row=row,
        col=1,
    )
    figure.update_yaxes(rangemode='tozero', row=row)


def _level(figure: go.Figure, row: int, value: float) -> None:
    figure.add_hline(y=value, line={'color': LIMIT, 'dash': 'dash', 'width': 1}, row=row, col=1)


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
