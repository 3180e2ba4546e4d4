# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The drift car from above: the line, the limit, where it has been, how it stands to its way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from loop_ros.types import Array

SIZE = 480  # pixels, of the square picture
SHARP = 2  # drawn so much larger, then scaled down
REACH = 1.6  # m from the middle of the circle to the edge of the picture, at least
LENGTH, WIDTH = 0.36, 0.19  # m, of the car's body
GROUND, LIMIT, LINE = (245, 245, 242), (204, 60, 50), (150, 150, 150)
WAY, BODY, NOSE = (60, 110, 180), (40, 40, 45), (250, 190, 50)


def draw(
    state: Array, driven: list[tuple[float, float]], radius: float, limit: float
) -> NDArray[np.uint8]:
    """Pixels [480, 480, 3] of a car at `state` (x, y, yaw, ...; m, rad), after the way `driven`.

    `radius` and `limit` (m) are those of the line and of the circle that costs; the picture grows
    with a car that leaves it.
    """
    x, y, yaw = state[:3].tolist()
    reach = max(REACH, float(np.hypot(x, y)) + LENGTH)
    scale = SHARP * SIZE / (2 * reach)  # pixels a metre

    def pixels(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(scale * (reach + px), scale * (reach - py)) for px, py in points]

    def on_car(ahead: float, left: float) -> tuple[float, float]:
        cosine, sine = np.cos(yaw), np.sin(yaw)
        return float(x + ahead * cosine - left * sine), float(y + ahead * sine + left * cosine)

    image = Image.new('RGB', (SHARP * SIZE, SHARP * SIZE), GROUND)
    canvas = ImageDraw.Draw(image)
    for size, color in ((limit, LIMIT), (radius, LINE)):
        canvas.ellipse(pixels([(-size, size), (size, -size)]), outline=color, width=2 * SHARP)
    if len(driven) > 1:
        canvas.line(pixels(driven), fill=WAY, width=2 * SHARP)
    half, side = LENGTH / 2, WIDTH / 2
    corners = [
        on_car(a, s) for a, s in ((half, side), (half, -side), (-half, -side), (-half, side))
    ]
    canvas.polygon(pixels(corners), fill=BODY)
    front = [
        on_car(half, side),
        on_car(half, -side),
        on_car(half / 2, -side),
        on_car(half / 2, side),
    ]
    canvas.polygon(pixels(front), fill=NOSE)
    return np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BOX), dtype=np.uint8)
