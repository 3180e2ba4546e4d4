# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An untrusted safetensors file: all that it claims is checked before a tensor is made.

Its header says which tensors there are, of what shape and where; a digest in its metadata says
what every byte of it was when it was written.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load as _load_tensors
from safetensors.torch import save as _save_tensors
from torch import Tensor

MAX_HEADER = 2**20  # bytes; those of the largest agents have some 20,000
MAX_DIMENSIONS = 8
DIGEST = 'sha256'

_LENGTH = struct.Struct('<Q')
_BLANK = '0' * 64  # stands in a file while its digest is taken
_METADATA = '__metadata__'
_ITEM_SIZES = {
    **{'BOOL': 1, 'U8': 1, 'I8': 1, 'F16': 2, 'BF16': 2, 'U16': 2, 'I16': 2},
    **{'F32': 4, 'U32': 4, 'I32': 4, 'F64': 8, 'U64': 8, 'I64': 8},
}


class Place(NamedTuple):
    """A tensor's shape, and its bytes within the data behind the header."""

    shape: tuple[int, ...]
    start: int
    end: int


class TensorFile:
    """A file whose header is sound; its tensors are made when they are asked for."""

    def __init__(self, data: bytes, source: str) -> None:
        """ValueError, with the name of the `source`, where sizes do not add up."""
        self._data, self._source = data, source
        try:
            self._start, header = _header(data)
            self.metadata = _metadata(header)
            self.places = {name: _place(name, entry) for name, entry in header.items()}
            _check_cover(self.places, len(data) - self._start)
        except (ValueError, RecursionError) as error:
            raise ValueError(f'{source}: not a readable safetensors file: {error}') from None
        self._digest = self.metadata.pop(DIGEST, None)

    def check_fit(self, own: Mapping[str, Tensor]) -> None:
        """ValueError where the tensors are not those of `own`, by name and shape."""
        for name, value in own.items():
            found = self.places[name].shape if name in self.places else 'nothing'
            if found != tuple(value.shape):
                raise ValueError(misfit(self._source, name, found, value))
        if strangers := self.places.keys() - own.keys():
            raise ValueError(f"{self._source}: '{min(strangers)}' is no tensor of this agent")

    def check_digest(self, required: bool = True) -> None:
        """ValueError where a byte changed since it was written, or nothing tells."""
        if self._digest is None:
            if required:
                raise ValueError(f'{self._source}: no {DIGEST} digest in its metadata')
            return
        if not self._matches(self._digest):
            raise ValueError(f'{self._source}: content does not match its {DIGEST} digest')

    def _matches(self, stated: str) -> bool:
        """Whether the digest is that of the file with the digest itself left blank."""
        place = _digest_place(self._data, self._start, stated)
        if place is None:
            return False
        view = memoryview(self._data)
        found = hashlib.sha256(view[:place])
        found.update(_BLANK.encode())
        found.update(view[place + len(_BLANK) :])
        return found.hexdigest() == stated

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by its name; they take the room of the file once more."""
        try:
            return _load_tensors(self._data)
        except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
            message = f'{self._source}: not a readable safetensors file: {error}'
            raise ValueError(message) from None


def with_digest(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """One safetensors file of contiguous CPU tensors, with its digest in its metadata."""
    data = _save_tensors(tensors, metadata={**metadata, DIGEST: _BLANK})
    (length,) = _LENGTH.unpack_from(data)
    place = _digest_place(data, _LENGTH.size + length, _BLANK)
    assert place is not None, 'safetensors writes its metadata as they are'
    return data[:place] + hashlib.sha256(data).hexdigest().encode() + data[place + len(_BLANK) :]


def misfit(source: str, name: str, found: object, wanted: Tensor) -> str:
    """What to say of a tensor that has another shape, or is not there."""
    return (
        f'{source}: {name} is {found}, expected {tuple(wanted.shape)}; the profile that trained '
        'them must be the one that plans with them'
    )


def _digest_place(data: bytes, end: int, stated: str) -> int | None:
    """Where the digest stands in a header that ends at byte `end`; None where it is none."""
    if re.fullmatch('[0-9a-f]{64}', stated) is None:
        return None
    mark = f'"{DIGEST}":"'
    place = data.find(f'{mark}{stated}"'.encode(), 0, end)
    return place + len(mark) if place >= 0 else None


def _header(data: bytes) -> tuple[int, dict[str, Any]]:
    """Where the data begin, and the header as it was written."""
    if len(data) < _LENGTH.size:
        raise ValueError(f'{len(data)} bytes are not even the length of a header')
    (length,) = _LENGTH.unpack_from(data)
    start = _LENGTH.size + length
    if length > MAX_HEADER or start > len(data):
        raise ValueError(f'a header of {length} bytes in a file of {len(data)}')
    header = json.loads(data[_LENGTH.size : start], object_pairs_hook=_unique)
    if not isinstance(header, dict):
        raise ValueError('its header is no mapping')
    return start, header


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError('a name stands twice in its header')
    return found


def _metadata(header: dict[str, Any]) -> dict[str, str]:
    """Take the metadata out of a header."""
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError('its metadata are no mapping of texts')
    return metadata


def _place(name: str, entry: Any) -> Place:
    """A tensor's entry in the header, whose numbers agree with each other."""
    if not isinstance(entry, dict) or entry.keys() != {'dtype', 'shape', 'data_offsets'}:
        raise ValueError(f"'{name}' has no dtype, shape and data_offsets")
    shape, offsets, dtype = entry['shape'], entry['data_offsets'], entry['dtype']
    if not (_counts(shape) and len(shape) <= MAX_DIMENSIONS):
        raise ValueError(f"'{name}' has no shape of at most {MAX_DIMENSIONS} dimensions")
    if not (_counts(offsets) and len(offsets) == 2):
        raise ValueError(f"'{name}' has no two data_offsets")
    size = _ITEM_SIZES.get(dtype) if isinstance(dtype, str) else None
    if size is None:
        raise ValueError(f"'{name}' has an unknown dtype")
    start, end = offsets
    if math.prod(shape) * size != end - start:
        raise ValueError(f"'{name}' is {shape} of {dtype} in {end - start} bytes")
    return Place(tuple(shape), start, end)


def _counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 2**63 for v in values)


def _check_cover(places: dict[str, Place], size: int) -> None:
    """ValueError unless the tensors fill `size` bytes without gap or overlap."""
    place = 0
    for name, found in sorted(places.items(), key=lambda item: item[1][1:]):
        if found.start != place:
            raise ValueError(f"'{name}' begins at byte {found.start} instead of {place}")
        place = found.end
    if place != size:
        raise ValueError(f'tensors of {place} bytes in {size}')
