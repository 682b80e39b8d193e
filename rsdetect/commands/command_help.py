"""Help of a command on the terminal: its options in groups, and examples at the end."""

from __future__ import annotations

import inspect
from typing import Any

from typer.core import TyperCommand

# Options by the names of their parameters; one that is in none of these groups is shown under the last.
GROUPS: dict[str, tuple[str, ...]] = {
    "Input": (
        *("before_band", "after_band", "bands", "mask", "mask_values", "mask_bits", "mask_kind", "nodata"),
        *("aoi", "align", "resampling", "register", "normalise", "dates", "layout", "group_by", "split"),
        *("stac", "collection", "scenes", "before_period", "after_period", "pick", "list_scenes"),
        *("part", "truth", "images", "unlabelled", "event", "at"),
    ),
    "What counts": (
        *("detector", "detectors", "model", "detector_options", "threshold", "opening", "min_area"),
        *("fill_holes", "min_width", "merge_gap", "simplify", "shape_attributes", "shifts"),
        *("disturb", "kind", "size", "gsd", "change", "cloud", "shift", "nodata_edge", "recipe", "changes"),
        *("base", "average_with", "folds", "steps", "minutes", "seed", "cron", "every"),
    ),
    "Output": (
        *(
            "out",
            "overwrite",
            "no_qgis_project",
            "no_report",
            "kinds",
            "no_join",
            "zones",
            "into_card",
            "quiet",
            "as_json",
            "log_file",
        ),
    ),
    "Machine": (
        *("device", "backend", "workers", "memory", "tile_size", "scheduler", "work", "wait"),
        *("shard", "collect", "status"),
    ),
    "Advanced": (),
}
_GROUP_OF = {name: group for group, names in GROUPS.items() for name in names}
_LAST = list(GROUPS)[-1]


class GroupedCommand(TyperCommand):
    """Command whose help has its options in groups, and its epilog as written: a line per example."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections of the help: arguments, then the groups of options."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], **{group: [] for group in GROUPS}}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            if row is not None:
                is_argument = parameter.param_type_name == "argument"
                group = "Arguments" if is_argument else _GROUP_OF.get(str(parameter.name), _LAST)
                sections[group].append(row)
        for title, rows in sections.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples of the help, which are not wrapped: they can be copied."""
        if self.epilog:
            with formatter.section("Examples"):
                for line in inspect.cleandoc(self.epilog).splitlines():
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")
