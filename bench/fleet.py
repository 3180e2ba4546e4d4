# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plans of B robots in one pass, against B planners that plan one after the other."""

from __future__ import annotations

import argparse

import torch

from loop_ros.bench.planner import as_nodes_do, configured, prepare
from loop_ros.bench.report import Row
from loop_ros.bench.timing import percentiles, take_turns
from loop_ros.bench.workload import Workload, workloads
from loop_ros.planning.search import plan_together

TITLE = 'Plans of several robots'


def run(options: argparse.Namespace) -> list[Row]:
    """A row for each number of robots and workload; options: those of `planner`, and robots."""
    device = prepare(options)
    chosen = [
        configured(workload, options.dtype)
        for workload in workloads()
        if options.profile in workload.profile and workload.size == 'drift_car'
    ]
    return [
        measure(workload, number, device, options.plans)
        for workload in chosen
        for number in options.robots
    ]


def measure(workload: Workload, number: int, device: torch.device, plans: int) -> Row:
    """Time rounds in which each of `number` robots gets a plan, together and one by one."""
    settings, networks = workload.settings.planner, workload.networks(device)
    together = [workload.planner(networks, device, seed) for seed in range(number)]
    separate = [workload.planner(networks, device, seed) for seed in range(number)]
    states = torch.randn(number, workload.state_dim, generator=torch.Generator().manual_seed(0))
    states = states.to(device)

    def one_by_one() -> None:
        for planner, state in zip(separate, states, strict=True):
            planner.plan(state, settings)

    times = take_turns(
        {
            'together': as_nodes_do(lambda: plan_together(together, states, settings)),
            'separate': as_nodes_do(one_by_one),
        },
        plans,
        device,
        f'{workload.profile}, {number} robots',
    )
    p50, p99 = percentiles(times['together'])
    separate_p50, _ = percentiles(times['separate'])
    return {
        'profile': workload.profile,
        'device': str(device),
        'num_threads': torch.get_num_threads(),
        'robots': number,
        'plans_per_s': 1e3 * number / p50,
        'separate_plans_per_s': 1e3 * number / separate_p50,
        'ratio_to_separate': separate_p50 / p50,
        'p50_ms': p50,
        'p99_ms': p99,
    }
