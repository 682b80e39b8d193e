"""Shapes of pieces: blobs, polygons, fields, strips, and homogeneous regions of an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_fill_holes, gaussian_filter, label

from rsdetect.arraytypes import Float32Array


@dataclass(frozen=True)
class Piece:
    """Piece of a scene with an antialiased edge."""

    row: int  # of the bounding box's upper left corner
    col: int
    alpha: Float32Array  # (height, width) 1 = within, 0 = outside

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the piece's bounding box."""
        height, width = self.alpha.shape
        return slice(self.row, self.row + height), slice(self.col, self.col + width)


def draw_piece(edge: int, radius: float, rng: np.random.Generator) -> Piece:
    """Draw a piece of random shape and about `radius` pixels in a scene of `edge` x `edge` pixels."""
    draw = (_blob_shape, _polygon_shape, _parallelogram_shape, _parallelogram_shape, _strip_shape)[
        int(rng.integers(5))
    ]
    centre = rng.uniform(0, edge, 2)
    extent = (3.5 if draw is _strip_shape else 1.6) * radius + 2
    low = np.clip(np.floor(centre - extent), 0, edge - 1).astype(int)
    high = np.clip(np.ceil(centre + extent), low + 1, edge).astype(int)
    rows, cols = (
        np.arange(first, last, dtype=np.float32) - np.float32(at)
        for first, last, at in zip(low, high, centre, strict=True)
    )
    angle = rng.uniform(0, np.pi)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along = cos * cols[None, :] + sin * rows[:, None]
    across = cos * rows[:, None] - sin * cols[None, :]
    return Piece(int(low[0]), int(low[1]), np.clip(0.5 + draw(along, across, radius, rng), 0, 1))


def _blob_shape(u: Float32Array, v: Float32Array, radius: float, rng: np.random.Generator) -> Float32Array:
    """Signed distance to the edge of a blob-shaped piece in pixels, positive within: a circle with waves."""
    turn = np.arctan2(v, u)
    rim = np.ones_like(u)
    for wave in range(2, 7):
        rim += np.float32(rng.normal(0, 0.35 / wave)) * np.cos(wave * turn + np.float32(rng.uniform(0, 6.3)))
    return np.asarray(radius * np.clip(rim, 0.3, 1.55) - np.hypot(u, v), dtype=np.float32)


def _polygon_shape(u: Float32Array, v: Float32Array, radius: float, rng: np.random.Generator) -> Float32Array:
    """Signed distance to the edge of a polygon-shaped piece with three to seven sides."""
    sides = int(rng.integers(3, 8))
    distance = 1.5 * radius - np.hypot(u, v)
    for turn in (np.arange(sides) + rng.uniform(-0.3, 0.3, sides)) * 2 * np.pi / sides:
        cut = radius * rng.uniform(0.5, 1.1) - (np.float32(np.cos(turn)) * u + np.float32(np.sin(turn)) * v)
        distance = np.minimum(distance, cut)
    return np.asarray(distance, dtype=np.float32)


def _parallelogram_shape(
    u: Float32Array, v: Float32Array, radius: float, rng: np.random.Generator
) -> Float32Array:
    """Signed distance to the edge of a parallelogram-shaped piece: a field."""
    aspect = np.exp(rng.uniform(0, 0.7))
    shear = np.float32(rng.normal(0, 0.25))
    return np.asarray(
        np.minimum(radius * aspect**0.5 - np.abs(u - shear * v), radius / aspect**0.5 - np.abs(v)),
        dtype=np.float32,
    )


def _strip_shape(u: Float32Array, v: Float32Array, radius: float, rng: np.random.Generator) -> Float32Array:
    """Signed distance to the edge of a strip-shaped piece: a slightly bent road or canal."""
    half = max(1.0, radius * rng.uniform(0.12, 0.35))
    bend = np.float32(rng.normal(0, 0.3) * radius) * np.sin(
        u * np.float32(rng.uniform(0.3, 1.0) / radius) + np.float32(rng.uniform(0, 6.3))
    )
    return np.asarray(np.minimum(half - np.abs(v - bend), 3.2 * radius - np.abs(u)), dtype=np.float32)


def grow_piece(pixels: Float32Array, radius: float, rng: np.random.Generator) -> Piece:
    """Grow a piece from a random pixel of `pixels` (bands, height, width): a connected, homogeneous region.

    A field, a lake or a hall with its real outline, at most about `radius` pixels in every direction.
    """
    edge = pixels.shape[1]
    row, col = rng.integers(2, edge - 2, 2)
    extent = int(np.ceil(1.4 * radius)) + 2
    first, left = max(row - extent, 0), max(col - extent, 0)
    box = pixels[:, first : row + extent, left : col + extent]
    smooth = gaussian_filter(box, (0, *[0.6 + 0.02 * radius] * 2))
    row, col = row - first, col - left
    far = np.sqrt(((smooth - smooth[:, row, col][:, None, None]) ** 2).mean(axis=0))
    rows, cols = np.ogrid[: box.shape[1], : box.shape[2]]
    near = (rows - row) ** 2 + (cols - col) ** 2 < (1.3 * radius) ** 2
    parts, _ = label((far < rng.uniform(0.35, 0.8)) & near)
    mask = (parts == parts[row, col]) & (parts > 0)
    if rng.random() < 0.6:
        mask = binary_fill_holes(mask)
    alpha = gaussian_filter(mask.astype(np.float32), 0.5)
    return Piece(int(first), int(left), alpha)
