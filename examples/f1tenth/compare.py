# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The models of one or more checkpoints beside a kinematic bicycle, on bags that neither saw.

python compare.py --train DS1 DS2 DS3 --test DS4 DS5 --checkpoints policy0 policy1 --out FILE
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from f1tenth.bicycle import Bicycle
from torch import Tensor

from loop_ros.agent import Agent
from loop_ros.bags.reader import BagReader
from loop_ros.cli.predict import show, steps_of
from loop_ros.offline import prediction
from loop_ros.offline.prediction import Recorded
from loop_ros.robot import description

ROBOT = description.load(Path(__file__).with_name('robot.yaml'))
TASK = ROBOT.task


def read(bags: Sequence[Path]) -> Recorded:
    """The transitions of bags, with what the log cannot say on the screen."""
    reader = BagReader(bags, TASK, robot=ROBOT)
    recorded = Recorded.of(reader.batches(), TASK)
    print(reader.summary.describe())
    return recorded


def as_measured(recorded: Recorded, rows: Tensor, steps: int) -> Iterator[Tensor]:
    """The states that came: what is left is the path's own error, and the sensors'."""
    for step in range(steps):
        yield recorded.data.batch.next_state[rows + step]


def mean_over_seeds(rows: list[dict[str, Any]], names: Sequence[str], steps: int) -> None:
    """Add the mean error of checkpoints to each row, with the lowest and the highest."""
    for row in rows:
        for step in (1, steps):
            found = [row[f'{name}, {step}'] for name in names]
            row[f'ensemble, {step}'] = float(np.mean(found))
            row[f'lowest, {step}'], row[f'highest, {step}'] = min(found), max(found)


def main() -> None:
    """Fit the bicycle, predict with all, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ('train', 'test', 'checkpoints'):
        parser.add_argument(f'--{name}', type=Path, nargs='+', required=True)
    parser.add_argument('--out', type=Path, help='the table as JSON')
    options = parser.parse_args()
    bicycle, test, steps = Bicycle.fit(read(options.train)), read(options.test), steps_of(1.0, TASK)
    agents = {str(path): Agent.load(path, TASK, resume=False) for path in options.checkpoints}
    predictors = {name: prediction.ensemble(agent) for name, agent in agents.items()}
    others = {'bicycle': bicycle, 'unchanged': prediction.unchanged, 'as measured': as_measured}
    rows = prediction.errors(test, {**predictors, **others}, steps)
    mean_over_seeds(rows, list(predictors), steps)
    print(bicycle.describe())
    show(rows, ['ensemble', *others], steps, TASK)
    print(f'of {len(agents)} seeds the lowest and the highest error of the ensemble')
    show(rows, ['lowest', 'highest'], steps, TASK)
    if options.out:
        options.out.write_text(
            json.dumps({'bicycle': bicycle.describe(), 'errors': rows}, indent=1)
        )


if __name__ == '__main__':
    main()
