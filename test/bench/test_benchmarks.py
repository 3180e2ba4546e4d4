# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks measure what they say: rows, work, and a reference that plans the same."""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from source_tree import TREE

from loop_ros.bench import fleet, planner, report, scaling
from loop_ros.bench.reference import Reference
from loop_ros.bench.workload import Workload, hazard_cost, plan_flop, workloads
from loop_ros.cli.main import main
from loop_ros.settings import Settings

CPU = torch.device('cpu')
BENCHES = (
    'planner',
    'fleet',
    'learner',
    'bridge',
    'latency',
    'scaling',
    'drift_car',
    'realtime',
    'soak',
    'bags',
    'offline',
)
SMALL: dict[str, Any] = {
    'planner.horizon': 3,
    'planner.num_samples': 12,
    'planner.num_particles': 2,
    'planner.num_iterations': 2,
    'planner.actor_fraction': 0.25,
    'planner.rollout_dtype': 'float32',
    'ensemble.num_models': 3,
    'ensemble.num_layers': 2,
    'ensemble.width': 16,
    'off_policy.width': 16,
}


def small(**changes: Any) -> Workload:
    """Three states, two actions; `planner__d0=1.0` changes planner.d0."""
    changed = {name.replace('__', '.'): value for name, value in changes.items()}
    settings = Settings().replace({**SMALL, **changed})
    return Workload('small', 'test', 3, 2, lambda state: (state[..., 0] > 0.5).float(), settings)


def unsettle(workload: Workload) -> Any:
    """Networks whose normalisers are far from the identity."""
    networks = workload.networks(CPU, seed=1)
    generator = torch.Generator().manual_seed(2)
    for scale in (networks.ensemble.inputs, networks.ensemble.targets):
        scale.mean.copy_(torch.randn(scale.mean.shape, generator=generator))
        scale.std.copy_(0.2 + torch.rand(scale.std.shape, generator=generator))
    return networks


@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'planner__terminal_value': 'v', 'planner__critic': 'min', 'off_policy__layer_norm': True},
        {'planner__terminal_value': 'none', 'planner__pessimism': 0.7},
        {'planner__critic': 'mean', 'planner__propagate_noise': False},
        {'planner__cost_source': 'learned', 'planner__discount': 0.9},
    ],
    ids=['paper', 'value', 'none', 'means', 'learned-cost'],
)
def test_the_reference_scores_as_the_planner_does(changes: dict[str, Any]) -> None:
    workload = small(**changes)
    settings = workload.settings.planner
    networks = unsettle(workload)
    reference, rollout = Reference(workload, networks), workload.planner(networks, CPU).rollout
    state, candidates = torch.randn(3), torch.rand(12, 3, 2) * 2 - 1
    noise = torch.randn(3, 3, 2, 4) if settings.propagate_noise else None
    rollout.refresh(settings)
    with torch.inference_mode():
        expected = reference.scores(state, candidates, noise)
        found = rollout(state, candidates, noise, settings)
    torch.testing.assert_close(found.returns, expected.returns, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.costs, expected.costs, rtol=1e-4, atol=1e-4)
    assert expected.returns.std() > 1e-3, 'a score that says nothing proves nothing'


@pytest.mark.parametrize('algorithm', ['arc', 'safe_arc'])
def test_the_reference_plans_as_the_planner_does(algorithm: str) -> None:
    """Over so many samples that both means are close to the one of infinitely many."""
    workload = small(
        planner__algorithm=algorithm,
        planner__num_samples=20_000,
        planner__actor_fraction=0.05,
        planner__mean_update=1.0,
        planner__temperature=0.1,
        planner__propagate_noise=False,
    )
    networks = unsettle(workload)
    reference, planning = Reference(workload, networks), workload.planner(networks, CPU)
    state = torch.tensor([0.1, -0.4, 0.3])
    plan = planning.plan(state, workload.settings.planner).sequence
    assert plan.abs().max() > 0.1
    torch.testing.assert_close(plan, reference.plan(state), rtol=0, atol=0.05)


def test_the_reference_refuses_what_it_does_not_know() -> None:
    workload = small(planner__algorithm='cem')
    with pytest.raises(ValueError, match='arc and safe_arc'):
        Reference(workload, workload.networks(CPU))


def test_the_work_of_a_plan_by_hand() -> None:
    """One state, one action, networks of width 2 with one layer: every product counted."""
    workload = Workload(
        'hand', 'test', 1, 1, None,
        Settings().replace({
            'planner.horizon': 2, 'planner.num_samples': 4, 'planner.num_particles': 3,
            'planner.num_iterations': 5, 'planner.actor_fraction': 0.5,
            'ensemble.num_models': 2, 'ensemble.num_layers': 1, 'ensemble.width': 2,
            'off_policy.width': 2,
        }),
    )  # fmt: skip
    mean = 2 * (2 * 2 + 2 * 3)  # 2 inputs -> 2 -> delta-state, reward, cost
    noisy = 2 * 2 * 2  # 2 -> two log-variances
    value = 2 * (2 * 2 + 2 * 2 + 2 * 1)  # 2 inputs -> 2 -> 2 -> 1
    act = 2 * (1 * 2 + 2 * 2 + 2 * 2)  # 1 input -> 2 -> 2 -> mean and deviation
    rollouts = (5 * 4 + 1) * (2 * 3) * (2 * (mean + noisy) + value)
    proposals = 2 * (2 * act + mean)
    assert plan_flop(workload) == rollouts + 5 * proposals
    once = workload.replace({'planner.resample_actor': False, 'planner.propagate_noise': False})
    assert plan_flop(once) == (5 * 4 + 1) * 2 * (2 * mean + value) + proposals
    twins = workload.replace({'planner.terminal_value': 'v', 'planner.critic': 'min'})
    rollouts = (5 * 4 + 1) * (2 * 3) * (2 * (mean + noisy) + 2 * value + act)
    assert plan_flop(twins) == rollouts + 5 * proposals


def test_the_sizes_are_those_of_the_issue() -> None:
    found = {(w.size, w.profile): (w.state_dim, w.action_dim) for w in workloads()}
    assert found[('drift_car', 'paper safeARC')] == (6, 2)
    assert found[('point_goal1', 'paper safeARC')] == (26, 2)
    assert found[('half_cheetah', 'paper ARC')] == (17, 6)
    assert ('drift_car', 'real time') in found
    paper, _, cheetah, *_ = (w.settings.planner for w in workloads())
    sizes = paper.num_samples, paper.num_particles, paper.horizon, paper.num_iterations
    assert sizes == (100, 4, 8, 8)
    assert (cheetah.algorithm, cheetah.horizon, cheetah.num_iterations) == ('arc', 3, 5)


def test_hazards_cost_where_they_are_near() -> None:
    state = torch.ones(3, 26)
    state[1, 12:14] = torch.tensor([0.1, 0.1])
    state[2, :10] = 0.0  # not a hazard
    assert hazard_cost(state).tolist() == [0.0, 1.0, 0.0]


def test_a_planner_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, 'matmul_gflops', lambda dtype, device: 50.0)
    workload = planner.configured(small(planner__time_budget=1e-6), None)
    row = planner.measure(workload, CPU, plans=5)
    wanted = {'size', 'profile', 'device', 'dtype', 'hz', 'p50_ms', 'p99_ms'}
    assert wanted | {'ratio_to_reference', 'matmul_share'} <= set(row)
    assert 0 < row['p50_ms'] <= row['p99_ms']
    assert row['ratio_to_reference'] == pytest.approx(row['reference_p50_ms'] / row['p50_ms'])
    rate = plan_flop(workload) / (1e-3 * row['p50_ms'])
    assert row['matmul_share'] == pytest.approx(rate / 50e9)
    assert row['dtype'] == 'float32'
    assert workload.settings.planner.time_budget == 0.0, 'every plan runs all its iterations'
    other = planner.configured(workload, 'bfloat16').settings.planner
    assert other.rollout_dtype == 'bfloat16'


def test_a_fleet_row() -> None:
    """Robots in one pass and in turn: both were timed, and the ratio is theirs."""
    row = fleet.measure(small(), 3, CPU, plans=2)
    assert row['robots'] == 3
    assert row['plans_per_s'] == pytest.approx(3e3 / row['p50_ms'])
    ratio = row['plans_per_s'] / row['separate_plans_per_s']
    assert row['ratio_to_separate'] == pytest.approx(ratio)


def test_search_finds_the_largest_that_holds() -> None:
    asked: list[int] = []

    def cost(num: int) -> float:
        asked.append(num)
        return 0.01 * num

    num, found = scaling.search(cost, 20.0, top=100_000)
    assert 1900 <= num <= 2000
    assert found == pytest.approx(0.01 * num)
    assert len(asked) < 20
    assert scaling.search(lambda num: 1.0, 20.0, top=1000) == (1000, 1.0)
    none, nothing = scaling.search(lambda num: 21.0, 20.0, top=1000)
    assert none == 0 and math.isnan(nothing)


def test_scaling_writes_figures_and_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, 'workloads', lambda: [small()])
    monkeypatch.setattr(scaling, 'LARGEST_N', 4)
    varied = {'N': ('planner.num_samples', (4, 8)), 'H': ('planner.horizon', (1, 2))}
    monkeypatch.setattr(scaling, 'VARIED', varied)
    options = argparse.Namespace(
        device='cpu', dtype=None, num_threads=None, plans=2, out=tmp_path / 'deep'
    )
    (row,) = scaling.run(options)
    assert row['largest_N_at_50_hz'] in (0, 2, 4)
    data = json.loads((options.out / 'scaling.json').read_text())
    assert [(p['varied'], p['value']) for p in data['points']] == [
        ('N', 4), ('N', 8), ('H', 1), ('H', 2)
    ]  # fmt: skip
    assert data['points'][1]['gflop'] > data['points'][0]['gflop'] > 0
    assert (options.out / 'scaling.png').read_bytes().startswith(b'\x89PNG')


def test_json_is_one_line_and_has_null_for_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{'name': 'a', 'count': 12345, 'ms': 1.23456789}, {'name': 'b', 'ms': math.nan}]
    report.show('Title', rows, as_json=True)
    output = capsys.readouterr().out
    assert output.count('\n') == 1
    assert json.loads(output) == [
        {'name': 'a', 'count': 12345, 'ms': 1.235},
        {'name': 'b', 'ms': None},
    ]


@pytest.mark.parametrize('width', ['60', '200'])
def test_no_number_of_a_table_is_cut(
    width: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv('FORCE_COLOR', '1')  # a terminal, as far as rich can see
    monkeypatch.setenv('COLUMNS', width)
    names = ('matmul_gflops', 'ratio_to_reference', 'p50_ms', 'p99_ms')
    rows = [
        {'size': f'{what} with a long name', 'device': 'cpu', **dict.fromkeys(names, number)}
        for what, number in (('one', 123.4), ('two', 0.0567))
    ]
    report.show('Title', rows)
    output = capsys.readouterr().out
    assert output.count('123') == output.count('0.0567') == len(names)
    assert output.count('cpu') == 1, 'what all rows share stands below the table'


def test_a_ratio_below_the_required_one_fails() -> None:
    row = {'ratio': 49.0, 'required_ratio': 50.0}
    assert report.exit_code([{'ratio': 1.0}, row]) == 1
    assert report.exit_code([{'ratio': 1.0}, {**row, 'ratio': 50.0}]) == 0


def test_the_command_prints_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['bench', 'drift_car', '--num', '4', '--repeats', '1', '--json']) in (0, 1)
    output = capsys.readouterr().out
    assert output.count('\n') == 1
    rows = json.loads(output)
    assert [row['method'] for row in rows][::3] == ['solve_ivp, default', 'RK4, batched']
    assert all(row['error_largest'] < 1e-6 for row in rows if row['method'] == 'solve_ivp, 1e-9')


def test_help_lists_the_benches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(['bench', '--help'])
    assert end.value.code == 0
    output = capsys.readouterr().out
    assert all(f'    {name}' in output for name in BENCHES)


def test_the_commands_are_made_without_torch() -> None:
    code = (
        'import sys; from loop_ros.cli.main import main\n'
        'try: main(["bench", "planner", "--help"])\n'
        'except SystemExit: pass\n'
        'assert not {"torch", "numpy", "rclpy", "rich"} & set(sys.modules)'
    )
    subprocess.run([sys.executable, '-c', code], cwd=TREE, check=True, capture_output=True)


@pytest.mark.parametrize(
    ('arguments', 'module', 'message'),
    [
        (['drift_car'], 'scipy', 'bench drift_car needs scipy: pip install scipy'),
        (['bridge'], 'rclpy', 'bench bridge needs rclpy: source a ROS 2 installation'),
        (['planner', '--device', 'cuda:99'], None, "device 'cuda:99'"),
    ],
)
def test_what_is_missing_is_named_in_one_line(
    arguments: list[str],
    module: str | None,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if module is not None:
        loaded = [name for name in sys.modules if name.startswith(('loop_ros.bench.', module))]
        for name in loaded:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, module, None)
    assert main(['bench', *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith('loop-ros: ') and message in error
    assert error.count('\n') == 1


@pytest.mark.slow
@pytest.mark.ros
def test_latency_of_the_planner_node(ros_domain: int) -> None:
    from loop_ros.bench import latency

    options = argparse.Namespace(seconds=1.0, device='cpu', num_threads=None, profile='drift_car')
    row = latency.measure(options, learning=False)
    assert row['states'] == round(1.0 / 0.035)
    assert 0 < row['answered'] <= row['states'], 'a busy machine leaves some without an answer'
    assert 0 < row['p50_ms'] <= row['p99_ms'] <= row['max_ms']
    assert 1 <= row['iterations'] <= 3, 'those of the profile, or what the period allows'


@pytest.mark.slow
@pytest.mark.ros
def test_steps_in_lockstep(ros_domain: int) -> None:
    from loop_ros.bench import bridge

    row = bridge.lockstep(0.5)
    assert row['per_s'] > 10
