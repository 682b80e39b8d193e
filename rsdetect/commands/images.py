"""Prepare real images that training pairs are cut from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsdetect.commands.messages import print_json, say
from rsdetect.commands.parameters import Debug, Json


def images(
    sources: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGES.toml",
            help="A table [[image]] each: path; and bands, mask_band, mask_values where the file needs them.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="New folder, for --images of rsdetect train.")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Prepare GeoTIFFs so that training can cut pairs from them, also where no raster library is.

    Files on one grid with the same bands count as dates of one place.
    """
    from rsdetect.training.compositing.prepare_images import prepare_images, read_image_list

    written = prepare_images(read_image_list(sources), out)
    if as_json:
        print_json({"images": [str(path) for path in written]})
        return
    say(f"{len(written)} place{'s' if len(written) != 1 else ''} prepared: {out}")
