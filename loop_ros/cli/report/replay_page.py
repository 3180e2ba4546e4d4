# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of `loop-ros replay`: metrics of all episodes, largest differences, a plot for each."""

from __future__ import annotations

from pathlib import Path

from loop_ros.cli.replay_episodes import Replayed, predicts
from loop_ros.cli.replay_summary import Difference, Replay, metrics
from loop_ros.cli.report.render import render
from loop_ros.cli.report.replay_figures import draw, draw_map
from loop_ros.cli.report.tables import NONE, Table, number

_INTENT = (
    'At each recorded state a plan was made again, starting from the plan before it as on the '
    'robot. The robot did what was recorded, so what a plan predicts was not tried out.'
)
_ACTOR = 'The agent acts without planning: it predicts nothing.'
_MOST_LABELS = 6  # actions that a row has room for
_NO_LIMIT = 'The planner {} ignores d0.'


def write(done: Replay, out: Path) -> None:
    """The page, in one file."""
    settings = done.agent.settings.planner
    intent = [_INTENT]
    if not predicts(done.agent):
        intent.append(_ACTOR)
    elif not settings.constrained:
        intent.append(_NO_LIMIT.format(settings.algorithm))
    page = render(
        'replay.html',
        task=done.agent.task.name,
        intent=' '.join(intent),
        metrics=done.rows(),
        read=done.read.splitlines(),
        command=done.command,
        differences=_differences(done),
        links=[_anchor(found.episode) for found in done.largest],
        overview=_overview(done),
        anchors=[_anchor(episode) for episode in done.episodes],
        episodes=[draw(done.agent, episode, _marked(done, episode)) for episode in done.episodes],
        maps=[draw_map(episode, _marked(done, episode)) for episode in done.episodes],
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding='utf-8')


def _marked(done: Replay, episode: Replayed) -> dict[int, int]:
    """The ranks of an episode's largest differences, by row."""
    found = enumerate(done.largest, 1)
    return {each.row: rank for rank, each in found if each.episode is episode}


def _anchor(episode: Replayed) -> str:
    return f'episode-{episode.number}'


def _differences(done: Replay) -> Table:
    labels = done.agent.task.action_labels
    columns = ['', 'episode', 'step', 'time, s', 'distance', 'most in', 'of its range']
    if len(labels) <= _MOST_LABELS:
        columns += labels
    columns += ['cost', 'predicted cost']
    return Table(
        columns,
        [_difference(rank, found, done) for rank, found in enumerate(done.largest, 1)],
        [
            'Distance: L2 between the actions, each scaled to [-1, 1]. Of differences less than a '
            f'horizon ({done.agent.settings.planner.horizon} steps) apart the largest is listed. '
            'Actions: what was done → what was planned.'
        ],
    )


def _difference(rank: int, found: Difference, replay: Replay) -> list[str]:
    episode, row = found.episode, found.row
    share = episode.difference[row]
    labels = replay.agent.task.action_labels
    actions = [
        f'{number(float(done))} → {number(float(planned))}'
        for done, planned in zip(episode.recorded[row], episode.planned[row], strict=True)
    ]
    return [
        f'{rank}',
        f'{episode.number}',
        f'{episode.step[row]:.0f}',
        f'{episode.time[row]:.2f}',
        number(float(episode.distance[row])),
        labels[int(share.argmax())],
        f'{share.max():.0%}',
        *(actions if len(labels) <= _MOST_LABELS else []),
        number(float(episode.cost[row])),
        number(float(episode.worst_cost[row])),
    ]


def _overview(done: Replay) -> Table:
    columns = [
        'episode', 'steps', 'return', 'cost', 'plans that differ', 'distance, mean',
        'costly, none predicted', 'predicted cost, worst', 'with a safe sequence', 'model error',
    ]  # fmt: skip
    rows = []
    for episode in done.episodes:
        found = metrics([episode])
        safe, predicted_free = found['with_safe_share'], found['costly_predicted_free']
        rows.append(
            [
                f'{episode.number}',
                f'{found["steps"]:,}{"" if episode.whole else ", cut"}',
                number(found['recorded_return']),
                number(found['recorded_cost']),
                f'{found["different"]:,} of {found["plans"]:,}',
                number(found['mean_distance']),
                NONE if predicted_free is None else f'{predicted_free:,} of {found["costly"]:,}',
                number(found['worst_predicted_cost']),
                NONE if safe is None else f'{safe:.1%}',
                number(found['model_error']),
            ]
        )
    return Table(columns, rows, [])
