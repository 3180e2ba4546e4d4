# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where pictures of a simulation go: a window, a film of each episode, whoever listens."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]  # [height, width, 3]
UNSEEN = ('offscreen', 'dummy')  # what SDL falls back on


class Display(Protocol):
    """Takes pictures, in the order in which they were made."""

    def is_wanted(self) -> bool:
        """Whether somebody would see the next picture."""

    def show(self, picture: Picture, episode: int, step: int) -> None:
        """Take the picture of a step."""

    def close(self) -> None:
        """End; what was shown so far is whole."""


class Window:
    """A window that shows the newest picture; StopIteration once it was closed."""

    def __init__(self, title: str) -> None:
        """Open it; OSError where there is no screen."""
        if not has_screen():
            raise OSError('there is no screen here (neither DISPLAY nor WAYLAND_DISPLAY is set)')
        os.environ.setdefault('PYGAME_HIDE_SUPPORT_PROMPT', '1')
        # A window with a GL context of its own would take MuJoCo's with it when it is closed.
        os.environ.setdefault('SDL_FRAMEBUFFER_ACCELERATION', '0')
        self._pygame: Any = importlib.import_module('pygame')
        self._title = title
        try:
            self._pygame.display.init()
        except self._pygame.error as error:
            raise OSError(f'the screen cannot be used: {error}') from None
        driver = self._pygame.display.get_driver()
        if driver in UNSEEN and os.environ.get('SDL_VIDEODRIVER') != driver:
            raise OSError('the screen that DISPLAY or WAYLAND_DISPLAY names does not answer')

    def is_wanted(self) -> bool:
        """Always."""
        return True

    def show(self, picture: Picture, episode: int, step: int) -> None:
        """Draw it, and look whether somebody closed the window."""
        display = self._pygame.display
        if any(event.type == self._pygame.QUIT for event in self._pygame.event.get()):
            raise StopIteration('the window was closed')
        size = picture.shape[1], picture.shape[0]
        screen = display.get_surface() or display.set_mode(size)
        image = self._pygame.image.frombuffer(picture.tobytes(), size, 'RGB')
        screen.blit(image, (0, 0))
        display.set_caption(f'{self._title}, episode {episode}, step {step}')
        display.flip()

    def close(self) -> None:
        """Close the window."""
        self._pygame.display.quit()


class Film:
    """A film of each episode: `episode_00000.mp4`, or a folder of PNGs of that name.

    MP4 needs the package imageio-ffmpeg; there the next picture is shown longer where one is
    missing. An old film of the same name is replaced.
    """

    def __init__(self, folder: Path, rate: float, interval: int) -> None:
        """A picture every `interval` steps, `rate` of them a second; OSError where that fails."""
        folder.mkdir(parents=True, exist_ok=True)
        self.kind = 'PNG' if importlib.util.find_spec('imageio_ffmpeg') is None else 'MP4'
        self._folder, self._rate, self._interval = folder, rate, interval
        self._episode = self._step = -1
        self._writer: Any = None

    def is_wanted(self) -> bool:
        """Always."""
        return True

    def show(self, picture: Picture, episode: int, step: int) -> None:
        """Append it to its episode's film; OSError where it cannot be written."""
        if episode != self._episode:
            self.close()
            self._episode, self._step = episode, step - self._interval
            self._begin(self._folder / f'episode_{episode:05d}', picture)
        if self._writer is not None:
            for _ in range((step - self._step) // self._interval):
                self._writer.send(np.ascontiguousarray(picture))
            self._step = step
        else:
            path = self._folder / f'episode_{episode:05d}' / f'{step:05d}.png'
            Image.fromarray(picture).save(path, compress_level=1)

    def close(self) -> None:
        """End the film of the running episode."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _begin(self, path: Path, picture: Picture) -> None:
        if self.kind == 'MP4':
            ffmpeg: Any = importlib.import_module('imageio_ffmpeg')
            size = picture.shape[1], picture.shape[0]
            self._writer = ffmpeg.write_frames(f'{path}.mp4', size, fps=self._rate)
            self._writer.send(None)
            return
        path.mkdir(exist_ok=True)
        for old in path.glob('*.png'):
            with contextlib.suppress(FileNotFoundError):
                old.unlink()


class Broadcast:
    """Pictures as JPEG files for those who listen; nothing is drawn while nobody does."""

    def __init__(self, send: Callable[[bytes], None], has_listeners: Callable[[], bool]) -> None:
        self._send, self.is_wanted = send, has_listeners

    def show(self, picture: Picture, episode: int, step: int) -> None:
        """Send it."""
        file = io.BytesIO()
        Image.fromarray(picture).save(file, 'JPEG', quality=80)
        self._send(file.getvalue())

    def close(self) -> None:
        """There is nothing to end."""


def has_screen() -> bool:
    """Whether windows can be seen; SDL_VIDEODRIVER, where set, names what shows them."""
    names = ('DISPLAY', 'WAYLAND_DISPLAY', 'SDL_VIDEODRIVER')
    return any(os.environ.get(name) for name in names)
