"""Common grid of a pair: the part that both scenes cover, and warps onto it."""

from __future__ import annotations

from dataclasses import replace

from rsdetect.errors import GridMismatch, NothingToCompare
from rsdetect.grid import Grid
from rsdetect.scenes.alignment import crs_name, describe_mismatch, offset_between, window_of
from rsdetect.scenes.header import Header
from rsdetect.scenes.scene import Scene
from rsdetect.scenes.warping import BLOCK


def on_common_grid(
    first: Header, second: Header, scenes: tuple[Scene, Scene], *, align: bool, resampling: str
) -> tuple[Grid, Scene, Scene, tuple[str, ...]]:
    """Scenes of a pair on the grid that both cover: BEFORE's, to which `align` warps AFTER.

    Returns
    -------
    grid, before, after, notes
        Notes are sentences on what the user should know: a warp, an extent that differs, no georeference.

    Raises
    ------
    GridMismatch
        The grids differ, and AFTER is not to be warped or cannot be.
    NothingToCompare
        The scenes do not overlap.
    """
    before, after = scenes
    offset = offset_between(first.grid, second.grid)
    if offset is None and after.source is not None:
        raise GridMismatch(_not_warped(first, second))
    notes: tuple[str, ...] = ()
    if first.control is not None:
        before = replace(before, warp=resampling, blocks=(BLOCK, BLOCK))
        notes = (_by_control_points(first, "a grid north up", resampling),)
    if second.control is not None or (offset is None and align and first.georeferenced and first.grid.crs):
        overlap = window_of(second.grid, first.grid)
        after = replace(after, grid=first.grid, warp=resampling, blocks=(BLOCK, BLOCK))
        offset = (0, 0)
        if second.control is not None:
            notes += (_by_control_points(second, f"the grid of {first.path}", resampling),)
        else:
            notes += (
                f"{second.path} is warped onto the grid of {first.path} ({resampling}): "
                f"{describe_mismatch(first.grid, second.grid)}.",
            )
    elif offset is None:
        raise GridMismatch(_mismatch(first, second))
    else:
        row, col = offset
        overlap = second.grid.window.shifted(-row, -col).intersection(first.grid.window)
    if overlap.is_empty:
        raise NothingToCompare(
            f"{first.path} and {second.path} do not overlap: {_bounds(first.grid)} "
            f"and {_bounds(second.grid)}."
        )
    if overlap != first.grid.window or (not after.warp and first.grid.shape != second.grid.shape):
        notes += (
            f"the scenes differ in extent ({_shape(first.grid)} and {_shape(second.grid)} pixels); the "
            f"{overlap.width} x {overlap.height} pixels that both cover are compared.",
        )
    if not first.georeferenced:
        notes += (
            f"{first.path} and {second.path} have no georeference: they are taken as one plain pixel grid, "
            "and areas are given in pixels.",
        )
    elif first.grid.crs is None:
        notes += (f"{first.path} and {second.path} name no CRS: areas are given in pixels.",)
    before = replace(before, offset=(overlap.row_off, overlap.col_off))
    after = replace(after, offset=(overlap.row_off + offset[0], overlap.col_off + offset[1]))
    return first.grid.crop(overlap), before, after, notes


def _by_control_points(header: Header, where: str, resampling: str) -> str:
    assert header.control is not None
    return (
        f"{header.path} is warped onto {where} by its {len(header.control.points)} ground control points "
        f"({header.control.fit}; {resampling})."
    )


def _mismatch(first: Header, second: Header) -> str:
    what = describe_mismatch(first.grid, second.grid)
    start = f"{first.path} and {second.path} lie on different grids: {what}."
    if first.grid.crs is None:
        return f"{start} Without a CRS they cannot be aligned; give both scenes one."
    return f"{start} Add `align=True` to warp {second.path} onto the grid of {first.path}."


def _not_warped(first: Header, second: Header) -> str:
    return (
        f"{second.path} lies on another grid than {first.path} "
        f"({describe_mismatch(first.grid, second.grid)}), and only files are warped by `align`; bring it "
        "onto that grid first (of an xarray DataArray: after.rio.reproject_match(before)), or give its path."
    )


def _shape(grid: Grid) -> str:
    return f"{grid.width} x {grid.height}"


def _bounds(grid: Grid) -> str:
    left, bottom, right, top = grid.bounds
    named = f" ({crs_name(grid.crs)})" if grid.crs else ""
    return f"x {left:.10g} to {right:.10g}, y {bottom:.10g} to {top:.10g}{named}"
