# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One training on several processes, started by torchrun; nothing here does anything in a single.

Every process draws the same batches and the same noise, computes its own part of each and steps
by the mean of all gradients: parameters stay the same everywhere, and the result is that of one
process but for rounding.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from loop_ros.settings import Settings

_interrupts = 0  # Ctrl-C that this process was sent


def are_several() -> bool:
    """Whether torchrun started more than this process."""
    started = dist.is_available() and dist.is_torchelastic_launched()
    return started and int(os.environ['WORLD_SIZE']) > 1


def init(device: str, timeout: timedelta | None = None, interrupts: bool = True) -> str:
    """Meet the others that torchrun started; returns the device of this process.

    `timeout` is that of each exchange, `interrupts` whether Ctrl-C waits for `check_interrupt`.
    """
    if not are_several():
        return device
    if device.startswith('cuda'):
        if device != 'cuda':
            raise ValueError(f'--device {device}: each process takes a GPU of its own, write cuda')
        number, gpus = int(os.environ['LOCAL_RANK']), torch.cuda.device_count()
        if number >= gpus:
            raise ValueError(f'{gpus} GPUs here: give torchrun no larger --nproc-per-node')
        device = f'cuda:{number}'
        torch.cuda.set_device(device)
        backend = 'cpu:gloo,cuda:nccl'
    else:
        backend = 'gloo'
    # After a restart torchrun's store still has the addresses of the processes before it.
    store, number, num = next(iter(dist.rendezvous('env://')))
    store = dist.PrefixStore(f'attempt {os.environ["TORCHELASTIC_RESTART_COUNT"]}', store)
    dist.init_process_group(backend, timeout=timeout, store=store, rank=number, world_size=num)
    if interrupts:
        signal.signal(signal.SIGINT, _interrupt)
    return device


def shutdown() -> None:
    """Leave the others."""
    if size() > 1:
        dist.destroy_process_group()
        signal.signal(signal.SIGINT, signal.default_int_handler)


def size() -> int:
    """How many they are."""
    return dist.get_world_size() if _is_initialized() else 1


def rank() -> int:
    """Which one this is, from 0 on; 0 is the one that writes and shows."""
    return dist.get_rank() if _is_initialized() else 0


def shard(batch: Tensor, dim: int = 0) -> Tensor:
    """This process's part of a batch along `dim`.

    All of it where it cannot be divided evenly, as the last batch of an epoch: the mean of equal
    gradients is right too.
    """
    if size() == 1 or batch.shape[dim] % size():
        return batch
    return batch.chunk(size(), dim)[rank()]


def normal(shape: Sequence[int], generator: torch.Generator, dim: int = 0) -> Tensor:
    """Standard normal noise for this process's part, drawn for the whole batch along `dim`."""
    whole = _whole(shape, dim)
    return shard(torch.randn(whole, generator=generator, device=generator.device), dim)


def bernoulli(
    chance: float, shape: Sequence[int], generator: torch.Generator, dim: int = 0
) -> Tensor:
    """Ones with this chance, else zeros, for this process's part, drawn as `normal` does."""
    drawn = torch.empty(_whole(shape, dim), device=generator.device)
    return shard(drawn.bernoulli_(chance, generator=generator), dim)


@torch.no_grad()
def average(tensors: Sequence[Tensor]) -> None:
    """Replace them by their mean over the processes, in one message."""
    if size() == 1:
        return
    numbers = _flat(tensors)
    with _together():
        dist.all_reduce(numbers)
    _unflatten(numbers / size(), tensors)


@torch.no_grad()
def broadcast(tensors: Iterable[Tensor]) -> None:
    """Take over the numbers of process 0; ValueError where this one's are not nearly those.

    Processors of different kinds may round differently.
    """
    if size() == 1:
        return
    devices: dict[torch.device, list[Tensor]] = {}
    for tensor in tensors:
        devices.setdefault(tensor.device, []).append(tensor)
    for group in devices.values():
        own = _flat(group)
        first = own.clone()
        broadcast_numbers(first)
        if not torch.allclose(own, first, rtol=1e-3, atol=1e-4, equal_nan=True):
            raise ValueError(f'process {rank()} has learned other weights than process 0')
        _unflatten(first, group)


def broadcast_numbers(tensor: Tensor) -> None:
    """Take over the numbers of process 0 into a tensor of the same size."""
    with _together():
        dist.broadcast(tensor, 0)


def broadcast_bytes(content: bytes | None) -> bytes:
    """Those of process 0; the others give None."""
    size = torch.tensor(len(content or b''))
    broadcast_numbers(size)
    found = torch.zeros(int(size), dtype=torch.uint8)
    if content is not None:
        found = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    broadcast_numbers(found)
    return found.numpy().tobytes()


def first_says(yes: bool) -> bool:
    """What process 0 says, so that all go the same way."""
    if size() == 1:
        return yes
    said = torch.tensor(yes)
    broadcast_numbers(said)
    return bool(said)


def check_divisible(settings: Settings) -> None:
    """ValueError where a batch cannot be divided among the processes."""
    for section, batch in (
        ('off_policy', settings.off_policy.batch_size),
        ('ensemble', settings.ensemble.batch_size),
    ):
        if batch % size():
            raise ValueError(
                f'{section}.batch_size is {batch}: {size()} processes need a multiple of their '
                'number'
            )
    if settings.off_policy.batch_norm:
        raise ValueError(
            f'off_policy.batch_norm normalises whole batches, which {size()} processes do not '
            'have: set it to false, or start one process'
        )


def check_same(text: str, what: str) -> None:
    """ValueError where `text` is not that of process 0, of the same length."""
    if size() == 1:
        return
    own = torch.tensor(list(text.encode()))
    first = own.clone()
    broadcast_numbers(first)
    if not torch.equal(own, first):
        raise ValueError(f'process {rank()} has other {what} than process 0: give all the same')


def check_interrupt() -> None:
    """KeyboardInterrupt in all processes at once where any was sent Ctrl-C since.

    Between two exchanges of gradients: one that left in the middle would let the others wait.
    """
    if size() == 1:
        return  # Python's own interrupt
    number = torch.tensor(_interrupts)
    with _together():
        dist.all_reduce(number)
    if int(number):
        raise KeyboardInterrupt


def _is_initialized() -> bool:
    return dist.is_available() and dist.is_initialized()  # some builds come without it


def _interrupt(signum: int, frame: object) -> None:
    global _interrupts
    _interrupts += 1


@contextlib.contextmanager
def _together() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ConnectionError(
            f'process {rank()}: lost the other processes of this training ({reason}); it '
            'resumes from its last save (--resume, checkpoint_dir)'
        ) from None


def _whole(shape: Sequence[int], dim: int) -> list[int]:
    """The shape of the whole batch, of which this process's part has `shape`."""
    whole = list(shape)
    whole[dim] *= size()
    return whole


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def _unflatten(numbers: Tensor, tensors: Sequence[Tensor]) -> None:
    parts = numbers.split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))
