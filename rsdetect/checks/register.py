"""Registering a pair: AFTER's content displaced onto BEFORE's, by a shift or a smooth field of tie points.

The shift is that of `measure_shift`, measured again after it was applied. Tie points are the shifts of tiles
on a grid; those that agree with no smooth surface are dropped: Fischler and Bolles (1981), "Random sample
consensus", Communications of the ACM 24(6):381-395. The field is a polynomial, of the degree that predicts
tie points best that it was not fitted to.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from rsdetect.arraytypes import BoolArray, Float64Array
from rsdetect.checks.registration import Shift, correlate_tile, measure_shift, shift_in_metres
from rsdetect.errors import InputError
from rsdetect.grid import Grid, Window
from rsdetect.scenes.displacement import Displacement
from rsdetect.scenes.pair import Pair

_CONVERGED_PX = 0.05  # rest of a shift at which it is not measured again
_ROUNDS = 3
_LEAST_WIDE_PX = 4.0  # tiles of any size hold less
_WIDE_TILE = 1024  # edge of the tile by which a shift is found that smaller tiles cannot hold
_TIE_TILE, _LEAST_TIE_TILE = 192, 64  # edges of tiles for tie points in pixels
_MOST_TIES = 10  # in each direction
_LEAST_TIES = 12  # that agree with the field
_LEAST_SHARE = 0.5  # of the tie points that must agree
_LEAST_SUPPORT = 0.25  # of the tie points that must agree with a shift, which hold less ground than its tiles
_AGREEMENT_PX = 0.75  # distance of a tie point from the field within which it agrees
_TRIALS, _SEED = 300, 0
_GAIN = 0.75  # of the error of a lower degree, below which a higher one is taken
_NODES = 9  # of the field in each direction
_LEAST_STRETCH = 0.5  # of the area of a pixel; a field that squeezes more folds soon


@dataclass(frozen=True)
class Registration:
    """Registration of a pair: the displacement of AFTER's content, and what it rests on."""

    method: str  # "shift" or "field"
    displacement: Displacement
    ties: int  # tiles that were correlated
    agreeing: int  # of these, those that agree
    residual_px: float  # measured afterwards: length of the shift that is left

    def apply(self, pair: Pair) -> Pair:
        """Pair with AFTER displaced."""
        size = self._size()
        note = (
            f"{pair.after.path} is registered to {pair.before.path} by a {self.method} of {size} from "
            f"{self.agreeing} of {self.ties} tiles; {self.residual_px:.2f} pixels are left."
        )
        return replace(_displaced(pair, self.displacement), notes=(*pair.notes, note))

    def _size(self) -> str:
        ends = [(np.min(each), np.max(each)) for each in (self.displacement.cols, self.displacement.rows)]
        parts = [f"{low:+.2f}" if low == high else f"{low:+.2f} to {high:+.2f}" for low, high in ends]
        return f"{parts[0]} columns and {parts[1]} rows"

    @classmethod
    def of_record(cls, content: Mapping[str, Any]) -> Self:
        """Registration as `asdict` and JSON gave it."""
        field = content["displacement"]
        down, across = field["spacing"]
        rows, cols = (tuple(tuple(line) for line in field[axis]) for axis in ("rows", "cols"))
        return cls(**(dict(content) | {"displacement": Displacement((down, across), rows, cols)}))


def fit_registration(pair: Pair, workers: int = 1) -> Registration:
    """Fit the registration of a pair, by reading tiles of it.

    Raises
    ------
    InputError
        Neither a shift nor a field is certain, or the field folds.
    """
    shift, found = _fit_shift(pair, workers)
    moved = _displaced(pair, Displacement.constant(*shift))
    places, ties = _measure_ties(moved, workers)
    field = _fit_field(pair.grid, places, ties) if len(ties) >= _LEAST_TIES else None
    if field is not None and (field.is_needed or not _is_certain(found)):
        displacement = field.displacement(shift)
        require_no_fold(pair, displacement)
        after = measure_shift(_displaced(pair, displacement), workers)
        if after is not None and (found is None or after.spread_px < found.spread_px):
            return Registration("field", displacement, len(ties), field.agreeing, after.distance_px)
    near = np.hypot(*ties.T) <= _AGREEMENT_PX  # the shift was applied before they were measured
    tiles, agreeing = len(ties), int(near.sum())
    if found is not None and found.is_reliable and len(ties) < _LEAST_TIES:
        tiles, agreeing = found.tiles, round(found.agreement * found.tiles)
    elif found is None or agreeing < tiles * (_LEAST_SUPPORT if found.is_reliable else _LEAST_SHARE):
        raise InputError(_uncertain(pair, found, len(ties)))
    return Registration("shift", Displacement.constant(*shift), tiles, agreeing, found.distance_px)


def measure_any_shift(pair: Pair, workers: int = 1) -> Shift | None:
    """Measured shift as `measure_shift`; where its tiles are too small for the distance, by a large one."""
    found = measure_shift(pair, workers)
    if found is None or found.is_reliable or pair.after.displacement is not None:
        return found
    wide = _wide_shift(pair, workers)
    if wide is None or np.hypot(*wide) < _LEAST_WIDE_PX:
        return found
    rest = measure_shift(_displaced(pair, Displacement.constant(*wide)), workers)
    if rest is None or not rest.is_reliable:
        return found
    return replace(
        rest,
        rows_px=rest.rows_px + wide[0],
        cols_px=rest.cols_px + wide[1],
        distance_m=shift_in_metres(pair.grid, rest.cols_px + wide[1], rest.rows_px + wide[0]),
        vectors=tuple((row, col, rows + wide[0], cols + wide[1]) for row, col, rows, cols in rest.vectors),
    )


def _displaced(pair: Pair, displacement: Displacement) -> Pair:
    return replace(pair, after=replace(pair.after, displacement=displacement))


def _is_certain(found: Shift | None) -> bool:
    return found is not None and found.is_reliable


def _uncertain(pair: Pair, found: Shift | None, ties: int) -> str:
    seen = "none has enough texture"
    if found is not None:
        seen = f"{found.agreement:.0%} of {found.tiles} agree on a shift, and {ties} give no smooth field"
    return (
        f"`register` cannot place {pair.after.path} on {pair.before.path}: of their tiles {seen}; register "
        "them by ground control points first, or leave the option out."
    )


def _fit_shift(pair: Pair, workers: int) -> tuple[tuple[float, float], Shift | None]:
    """Shift (rows, columns), and what is measured after it was applied."""
    best: tuple[tuple[float, float], Shift | None] = (0.0, 0.0), None
    for measure in (_tiled_shift, _wide_shift):
        start = measure(pair, workers)
        if start is None:
            continue
        shift, found = start, None
        for _ in range(_ROUNDS):
            found = measure_shift(_displaced(pair, Displacement.constant(*shift)), workers)
            if found is None or not found.is_reliable or found.distance_px < _CONVERGED_PX:
                break
            shift = shift[0] + found.rows_px, shift[1] + found.cols_px
        if _is_certain(found):
            return shift, found
        if best[1] is None or (found is not None and found.agreement > best[1].agreement):
            best = shift, found
    return best


def _tiled_shift(pair: Pair, workers: int) -> tuple[float, float] | None:
    found = measure_shift(pair, workers)
    return (found.rows_px, found.cols_px) if found is not None and found.is_reliable else None


def _wide_shift(pair: Pair, _: int) -> tuple[float, float] | None:
    """Shift of one large tile in the middle, for distances beyond a part of the small ones."""
    height, width = (min(edge, _WIDE_TILE) for edge in pair.grid.shape)
    row, col = (pair.grid.height - height) // 2, (pair.grid.width - width) // 2
    return correlate_tile(pair, Window(row, col, height, width), least_valid=0.3)


def _measure_ties(pair: Pair, workers: int) -> tuple[Float64Array, Float64Array]:
    """Tie points of a grid of tiles: their centres and shifts, (n, 2) each, as (row, column)."""
    edges = [min(_TIE_TILE, max(_LEAST_TIE_TILE, edge // 4), edge) for edge in pair.grid.shape]
    if min(edges) < _LEAST_TIE_TILE:
        return np.zeros((0, 2)), np.zeros((0, 2))
    starts = [
        np.linspace(0, whole - edge, min(_MOST_TIES, max(1, 2 * whole // edge - 1))).astype(int)
        for whole, edge in zip(pair.grid.shape, edges, strict=True)
    ]
    windows = [Window(int(row), int(col), *edges) for row in starts[0] for col in starts[1]]
    windows = [window for window in windows if pair.intersects_aoi(window)]
    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="ties") as pool:
        shifts = list(pool.map(lambda window: correlate_tile(pair, window), windows))
    found = [(window, shift) for window, shift in zip(windows, shifts, strict=True) if shift is not None]
    centres = [(w.row_off + w.height / 2 - 0.5, w.col_off + w.width / 2 - 0.5) for w, _ in found]
    return np.array(centres).reshape(-1, 2), np.array([shift for _, shift in found]).reshape(-1, 2)


@dataclass(frozen=True)
class _Field:
    """Field of tie points: a polynomial of the position."""

    grid: Grid
    degree: int
    coefficients: Float64Array  # (terms, 2)
    agreeing: int
    is_needed: bool  # it predicts tie points better than one shift for all does

    def displacement(self, shift: tuple[float, float]) -> Displacement:
        """Displacement of the field on top of a shift (rows, columns) for all."""
        (height, width), count = self.grid.shape, _NODES - 1
        rows, cols = np.meshgrid(
            np.linspace(0, height - 1, _NODES), np.linspace(0, width - 1, _NODES), indexing="ij"
        )
        terms = _terms(np.column_stack([rows.ravel(), cols.ravel()]), self.grid, self.degree)
        moved = (terms @ self.coefficients + shift).reshape(_NODES, _NODES, 2)
        down, right = (tuple(tuple(map(float, line)) for line in moved[..., axis]) for axis in (0, 1))
        return Displacement((max(height - 1, 1) / count, max(width - 1, 1) / count), down, right)


def _fit_field(grid: Grid, places: Float64Array, ties: Float64Array) -> _Field | None:
    """Field of the tie points that agree; None if too few do."""
    inside = _agreeing(_terms(places, grid, 1), ties)
    for _ in range(_ROUNDS):  # what agrees with a plane, then with the surface fitted to that
        if inside.sum() < max(_LEAST_TIES, _LEAST_SHARE * len(ties)):
            return None
        degree, error, flat = _best_degree(grid, places[inside], ties[inside])
        terms = _terms(places, grid, degree)
        coefficients = np.asarray(np.linalg.lstsq(terms[inside], ties[inside], rcond=None)[0], np.float64)
        inside = _near(terms, coefficients, ties)
    is_needed = degree > 0 and error < _GAIN * flat
    return _Field(grid, degree, coefficients, int(inside.sum()), is_needed)


def _terms(places: Float64Array, grid: Grid, degree: int) -> Float64Array:
    """Terms of a polynomial of (row, column) up to a degree, (n, terms); positions from -1 to 1."""
    row, col = (2 * places[:, axis] / max(edge - 1, 1) - 1 for axis, edge in enumerate(grid.shape))
    powers = [(i, total - i) for total in range(degree + 1) for i in range(total + 1)]
    return np.column_stack([row**i * col**j for i, j in powers])


def _agreeing(terms: Float64Array, ties: Float64Array) -> BoolArray:
    """Tie points within `_AGREEMENT_PX` of the plane through three of them with which most agree."""
    rng = np.random.default_rng(_SEED)
    best = np.zeros(len(ties), bool)
    for _ in range(_TRIALS):
        chosen = rng.choice(len(ties), 3, replace=False)
        if abs(np.linalg.det(terms[chosen])) < 0.05:  # nearly on one line
            continue
        plane = np.asarray(np.linalg.solve(terms[chosen], ties[chosen]), np.float64)
        near = _near(terms, plane, ties)
        if near.sum() > best.sum():
            best = near
    return best


def _near(terms: Float64Array, coefficients: Float64Array, ties: Float64Array) -> BoolArray:
    return np.asarray(np.hypot(*(ties - terms @ coefficients).T) <= _AGREEMENT_PX)


def _best_degree(grid: Grid, places: Float64Array, ties: Float64Array) -> tuple[int, float, float]:
    """Degree of the polynomial, its error in pixels, and that of a constant, for points left out."""
    errors = [_error_left_out(_terms(places, grid, degree), ties) for degree in range(4)]
    best = 0
    for degree in range(1, 4):
        if errors[degree] < _GAIN * errors[best]:
            best = degree
    return best, errors[best], errors[0]


def _error_left_out(terms: Float64Array, ties: Float64Array) -> float:
    """Median distance of each tie point from the polynomial that is fitted to all others."""
    if len(ties) < 2 * terms.shape[1]:
        return float("inf")
    hat = terms @ np.linalg.pinv(terms)
    rest = (ties - hat @ ties) / np.maximum(1 - np.diag(hat), 1e-6)[:, None]
    return float(np.median(np.hypot(*rest.T)))


def require_no_fold(pair: Pair, displacement: Displacement) -> None:
    """Refuse a field that squeezes or turns over pixels."""
    (down, across), rows, cols = displacement.spacing, *map(np.array, (displacement.rows, displacement.cols))
    least = np.inf
    # The determinant of a bilinear cell is least at one of its corners.
    for i in (slice(None, -1), slice(1, None)):
        for j in (slice(None, -1), slice(1, None)):
            row_down, col_down = (np.diff(each, axis=0)[:, j] / down for each in (rows, cols))
            row_right, col_right = (np.diff(each, axis=1)[i] / across for each in (rows, cols))
            area = (1 + row_down) * (1 + col_right) - row_right * col_down
            least = min(least, float(area.min()))
    if least < _LEAST_STRETCH:
        raise InputError(
            f"`register` found a field between {pair.before.path} and {pair.after.path} that folds: a pixel "
            f"becomes {max(least, 0):.2f} of its area; register them by ground control points first, or "
            "leave the option out."
        )
