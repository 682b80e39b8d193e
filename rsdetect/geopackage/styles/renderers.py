"""Renderers of changes in QGIS: by kind, and by probability in classes that begin at the run's threshold."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from rsdetect.geopackage.styles.colours import KIND_COLOURS, PROBABILITY_COLOURS, UNKNOWN
from rsdetect.geopackage.styles.symbols import Outline, fill_symbol

_NARROWEST = 5  # percent; classes of probability are not narrower
_LINES_MM = (0.3, 0.4, 0.5, 0.6, 0.7)  # by class of probability
# Shapes tell apart what colours alone may not: gain points up, loss points down.
_MARKERS = {
    "vegetation loss": ("triangle", 180),
    "vegetation gain": ("triangle", 0),
    "water gain": ("triangle", 0),
    "water loss": ("triangle", 180),
    "built or sealed": ("square", 0),
    "opened ground": ("diamond", 0),
    "burnt": ("pentagon", 0),
    "snow or ice": ("hexagon", 0),
}


@dataclass(frozen=True)
class Rule:
    """Rule of a renderer: what a feature must satisfy, and how it is drawn and named in the legend."""

    label: str
    condition: str  # expression of QGIS; "ELSE" = no other rule
    outline: Outline


def rule_renderer(heading: str, rules: Iterable[Rule]) -> str:
    """Renderer with `rules` under a heading in the legend, as XML of QGIS."""
    listed = list(rules)
    entries = "".join(
        f'<rule key="rule {number}" symbol="{number}" label="{escape(rule.label)}"'
        f' filter="{escape(rule.condition)}"/>\n'
        for number, rule in enumerate(listed)
    )
    symbols = "".join(fill_symbol(str(number), rule.outline) for number, rule in enumerate(listed))
    return (
        '<renderer-v2 type="RuleRenderer" symbollevels="1" enableorderby="0" forceraster="0">\n'
        f'<rules key="root"><rule key="heading" label="{escape(heading)}">\n{entries}</rule></rules>\n'
        f"<symbols>\n{symbols}</symbols>\n</renderer-v2>"
    )


def kind_renderer(present: Collection[str | None]) -> str:
    """Renderer of changes by their kind, for the kinds that are `present`."""
    named = [kind for kind in KIND_COLOURS if kind in present]
    rules = [Rule(kind, f"\"kind\" = '{kind}'", _kind_outline(kind, rank)) for rank, kind in enumerate(named)]
    if set(present) - set(named) or not named:
        rules.append(Rule("not stated", "ELSE", _kind_outline(UNKNOWN, 0)))
    return rule_renderer("Kind of change", rules)


def _kind_outline(kind: str, rank: int) -> Outline:
    marker, angle = _MARKERS.get(kind, ("circle", 0))
    dash = "dash" if kind == UNKNOWN else "solid"
    return Outline(KIND_COLOURS[kind], dash=dash, rank=rank, marker=marker, angle=angle)


def probability_renderer(level: int) -> str:
    """Renderer of changes by mean probability, in classes from the threshold of `level` percent."""
    classes = probability_classes(level)
    rules = []
    for rank, (low, high) in enumerate(classes):
        place = rank - len(classes)  # the surest class is the same whatever the threshold
        bounds = [f'"probability_mean" >= {low / 100}'] if rank else []
        if high < 100:
            bounds.append(f'"probability_mean" < {high / 100}')
        outline = Outline(PROBABILITY_COLOURS[place], line_mm=_LINES_MM[place], rank=rank)
        rules.append(Rule(class_label(low, high), " AND ".join(bounds) or "ELSE", outline))
    return rule_renderer("Mean probability of change", rules)


def probability_classes(level: int) -> list[tuple[int, int]]:
    """Classes of probability from a threshold, as (lowest percent, percent below which it ends).

    >>> probability_classes(50)
    [(50, 60), (60, 70), (70, 80), (80, 90), (90, 100)]
    >>> probability_classes(88)
    [(88, 94), (94, 100)]
    """
    count = max(1, min(len(PROBABILITY_COLOURS), (100 - level) // _NARROWEST))
    edges = [round(level + (100 - level) * number / count) for number in range(count + 1)]
    return list(pairwise(edges))


def class_label(low: int, high: int) -> str:
    """Name of a class of probability in a legend; the last one includes its end.

    >>> class_label(50, 60), class_label(90, 100), class_label(100, 100)
    ('50 to 60 %', '90 % and more', '100 %')
    """
    if low == high:
        return f"{low} %"
    return f"{low} to {high} %" if high < 100 else f"{low} % and more"
