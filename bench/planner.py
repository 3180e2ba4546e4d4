# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How fast a plan is: against a plain fp32 reference, and against the machine's matmul rate."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch

from loop_ros.bench.machine import matmul_gflops
from loop_ros.bench.reference import Reference
from loop_ros.bench.report import Row
from loop_ros.bench.timing import percentiles, take_turns
from loop_ros.bench.workload import Workload, plan_flop, workloads
from loop_ros.devices import rollout_dtype, usable_device

TITLE = 'A plan'


def run(options: argparse.Namespace) -> list[Row]:
    """A row for each workload; options: device, dtype, num_threads, plans."""
    device = prepare(options)
    return [
        measure(configured(workload, options.dtype), device, options.plans)
        for workload in workloads()
    ]


def prepare(options: argparse.Namespace) -> torch.device:
    """Set torch's threads, where so many are asked for; ValueError without the device."""
    if options.num_threads:
        torch.set_num_threads(options.num_threads)
    return usable_device(options.device)


def configured(workload: Workload, dtype: str | None) -> Workload:
    """The workload with whole plans, on torch's threads; a dtype of None: as its profile has it."""
    overrides = {
        'planner.time_budget': 0.0,
        'planner.rollout_threads': torch.get_num_threads(),
        'planner.rollout_dtype': dtype or workload.settings.planner.rollout_dtype,
    }
    return workload.replace(overrides)


def as_nodes_do(plan: Callable[[], object]) -> Callable[[], None]:
    """The plan with a single thread within each operation: rollouts have threads of their own."""
    threads = torch.get_num_threads()

    def run() -> None:
        torch.set_num_threads(1)
        plan()
        torch.set_num_threads(threads)

    return run


def measure(workload: Workload, device: torch.device, plans: int) -> Row:
    """Time plans of a workload and of the reference in turns."""
    settings = workload.settings.planner
    networks = workload.networks(device)
    planner, reference = workload.planner(networks, device), Reference(workload, networks)
    states = torch.Generator().manual_seed(0)

    def state() -> torch.Tensor:
        return torch.randn(workload.state_dim, generator=states).to(device)

    times = take_turns(
        {
            'planner': as_nodes_do(lambda: planner.plan(state(), settings)),
            'reference': lambda: reference.plan(state()),
        },
        plans,
        device,
        f'{workload.size}, {workload.profile}',
    )
    used = rollout_dtype(settings.rollout_dtype, device)
    p50, p99 = percentiles(times['planner'])
    reference_p50, _ = percentiles(times['reference'])
    gflops = matmul_gflops(used, device)
    return {
        'size': workload.size,
        'profile': workload.profile,
        'device': str(device),
        'num_threads': torch.get_num_threads(),
        'dtype': str(used).removeprefix('torch.'),
        'hz': float(1e3 / times['planner'].mean()),
        'p50_ms': p50,
        'p99_ms': p99,
        'reference_p50_ms': reference_p50,
        'ratio_to_reference': reference_p50 / p50,
        'matmul_gflops': gflops,
        'matmul_share': plan_flop(workload) / (1e-3 * p50) / (1e9 * gflops),
    }
