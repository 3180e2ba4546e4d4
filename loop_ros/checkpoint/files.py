# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights as safetensors bytes, checkpoints as folders; every write is atomic, nothing is pickled.

A checkpoint is a folder with `agent.safetensors`, `agent.json` and, to resume from,
`training.safetensors`. The JSON is written last and names the digests of the other files, so a
checkpoint is either whole or refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from loop_ros.checkpoint.tensor_file import TensorFile, misfit, with_digest

FORMAT = 1
METADATA_FILE, SNAPSHOT_FILE = 'agent.json', 'snapshot.json'  # the index of a folder
_HOLDS = {METADATA_FILE: 'checkpoint', SNAPSHOT_FILE: 'snapshot'}


class NotFiniteError(ValueError):
    """Weights that fit and are no numbers: whoever trained them has failed."""


def pack(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """Tensors and metadata as one safetensors file with its digest."""
    return with_digest(
        {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}, metadata
    )


def unpack(data: bytes, source: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file; ValueError where it is broken.

    A file from before there were digests has none; that of a checkpoint stands in its name too.
    """
    file = TensorFile(data, source)
    file.check_digest(required=False)
    return file.tensors(), file.metadata


def take_over(tensors: dict[str, Tensor], own: dict[str, Tensor], source: str) -> None:
    """Copy into each tensor of `own` its namesake; ValueError before the first where one is bad."""
    for name, value in own.items():
        if name not in tensors or tensors[name].shape != value.shape:
            found = tuple(tensors[name].shape) if name in tensors else 'nothing'
            raise ValueError(misfit(source, name, found, value))
        if not bool(tensors[name].isfinite().all()):
            raise NotFiniteError(f'{source}: {name} is not finite')
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(tensors[name])


def write(
    folder: Path, files: dict[str, bytes], metadata: dict[str, Any], index: str = METADATA_FILE
) -> None:
    """Write a checkpoint so that a crash at any moment leaves the old one or the new one.

    File names carry their digest; the JSON switches to them in one rename, then the files that
    it no longer names are removed. Where the disk is full, what was written so far is removed.
    `index` is the JSON's name, for a folder that is no checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names: dict[str, str] = {}
    new: list[Path] = []
    try:
        for name, data in files.items():
            digest = hashlib.sha256(data).hexdigest()
            names[name] = f'{name}-{digest[:16]}.safetensors'
            if not (folder / names[name]).is_file():
                new.append(folder / names[name])
                replace_file(new[-1], data)
        content = {'format': FORMAT, 'files': names, **metadata}
        replace_file(folder / index, (json.dumps(content, indent=2) + '\n').encode())
    except OSError:
        for path in new:
            path.unlink(missing_ok=True)
        raise
    for old in (*folder.glob('*.safetensors'), *folder.glob('.*.new')):
        if old.name not in names.values():
            old.unlink(missing_ok=True)


def read(folder: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Files and metadata of a checkpoint; ValueError says what is missing or broken."""
    metadata = read_metadata(folder)
    return {name: read_file(folder, metadata, name) for name in metadata['files']}, metadata


def read_file(folder: Path, metadata: dict[str, Any], name: str) -> bytes:
    """One of the files that the metadata names; ValueError where it is missing or changed."""
    if name not in metadata['files']:
        raise ValueError(f"{folder}: its index names no file '{name}'; copy it again")
    found = folder / Path(str(metadata['files'][name])).name
    if not found.is_file():
        raise ValueError(f'{folder}: {found.name} is missing; copy the whole folder again')
    data = found.read_bytes()
    if not found.stem.endswith(hashlib.sha256(data).hexdigest()[:16]):
        raise ValueError(f'{found}: content does not match its digest; copy it again')
    return data


def read_metadata(folder: Path, index: str = METADATA_FILE) -> dict[str, Any]:
    """What a checkpoint, or another folder, says of itself; ValueError where it is broken."""
    path = folder / index
    if not path.is_file():
        raise ValueError(f'{folder}: no {_HOLDS.get(index, "such folder")} here (no {index})')
    try:
        metadata = json.loads(path.read_text(encoding='utf-8'))
        version, metadata['files'] = metadata['format'], dict(metadata['files'])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f'{path}: broken metadata: {error!r}') from None
    if version != FORMAT:
        raise ValueError(f'{path}: format {version}; this release reads format {FORMAT}')
    return metadata


def resolve(name: str, task: str) -> Path | None:
    """'none' -> None, 'shipped' -> the folder in the package, else the path of a checkpoint.

    An empty name stands for what is shipped for the task, or None where nothing is.
    """
    if name == 'none':
        return None
    if name in ('shipped', ''):
        path = Path(__file__).resolve().parent.parent / 'checkpoints' / task
        if not (path / METADATA_FILE).is_file():
            if not name:
                return None
            raise ValueError(
                f"no shipped weights for '{task}'; use checkpoint none, or the path of a checkpoint"
            )
        return path
    path = Path(name).expanduser()
    if (path / 'checkpoint' / METADATA_FILE).is_file():
        return path / 'checkpoint'  # the folder of an experiment
    if not (path / METADATA_FILE).is_file():
        raise ValueError(
            f"checkpoint '{name}': no {METADATA_FILE} there; use shipped, none, or the path of a "
            'checkpoint folder'
        )
    return path


def replace_file(path: Path, data: bytes) -> None:
    """Write durably under another name, then rename; half a file is not left on a full disk."""
    temporary = path.with_name(f'.{path.name}.new')  # the next write takes over one left by a kill
    try:
        with temporary.open('wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
