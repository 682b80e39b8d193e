"""QGIS styles of the layers of a monitored site: events by status, observations by outcome."""

from __future__ import annotations

from string import Template

from rsdetect.geopackage.styles import NamedStyle, read_style
from rsdetect.geopackage.styles.colours import KIND_COLOURS
from rsdetect.geopackage.styles.fields import Field, field_elements
from rsdetect.geopackage.styles.labels import AREA, labeling, plain_text
from rsdetect.geopackage.styles.renderers import Rule, rule_renderer
from rsdetect.geopackage.styles.symbols import Outline

_AREA = f"{AREA} ELSE '' END"
_NEW = Outline("#e66101", fill_alpha=90, rank=3)
_CONFIRMED = Outline("#5e3c99", fill_alpha=90, rank=4)
_UNOBSERVED = Outline("#969696", dash="dash", fill_alpha=70, rank=2)
_GONE = Outline("#1b7837", line_mm=0.4, fill_alpha=0, rank=1)
_MERGED = Outline("#969696", line_mm=0.3, dash="dot", fill_alpha=0)
_STATUSES = (
    ("new", "new", _NEW),
    ("confirmed", "confirmed", _CONFIRMED),
    ("unobserved", "unobserved: cloud since", _UNOBSERVED),
    ("resolved", "resolved: no longer there", _GONE),
    ("merged", "merged into an older one", _MERGED),
)
_OUTCOMES = (
    ("seen", "seen", _CONFIRMED),
    ("not seen", "not seen", _GONE),
    ("unobserved", "unobserved", _UNOBSERVED),
)
# Of an event the latest observation alone, unless the temporal controller chooses the dates.
_SHOWN = '(@map_start_time IS NOT NULL OR "taken" = maximum("taken", group_by:="event_id"))'
_EVENT_FIELDS = {
    "event_id": Field("Event"),
    "status": Field("Status", values=tuple(status for status, _, _ in _STATUSES)),
    "kind": Field("Kind", values=tuple(KIND_COLOURS)),
    "first_seen": Field("First seen"),
    "last_seen": Field("Last seen"),
    "confirmed_on": Field("Confirmed on"),
    "resolved_on": Field("Resolved on"),
    "observations": Field("Valid observations", 0),
    "seen": Field("Seen", 0),
    "area_m2": Field("Area", 2, "m²"),
    "probability_mean": Field("Mean probability", 2),
    "parts": Field("Parts", 0),
    "merged_into": Field("Merged into"),
    "follows": Field("Follows"),
    "site": Field("Site"),
}
_OBSERVATION_FIELDS = {
    "event_id": Field("Event"),
    "taken": Field("Taken"),
    "outcome": Field("Outcome", values=tuple(outcome for outcome, _, _ in _OUTCOMES)),
    "status": Field("Status", values=tuple(status for status, _, _ in _STATUSES)),
    "observed_share": Field("Share of the ground observed", 2),
    "changed_share": Field("Share of it changed", 2),
    "probability_mean": Field("Mean probability", 2),
    "area_m2": Field("Area", 2, "m²"),
    "parts": Field("Parts", 0),
    "relation": Field("What happened to its shape"),
    "scene": Field("Scene"),
    "baseline": Field("Compared with"),
    "site": Field("Site"),
}
_TIMES = "first_seen", "last_seen", "confirmed_on", "resolved_on", "taken"


def events_styles() -> tuple[NamedStyle, ...]:
    """Style of the layer `events`: by status; visible from the first observation until it is resolved."""
    rules = [Rule(label, f"\"status\" = '{status}'", outline) for status, label, outline in _STATUSES]
    qml = Template(read_style("events.qml")).substitute(
        renderer=rule_renderer("Status", rules),
        labeling=labeling(_AREA),
        fields=field_elements(_EVENT_FIELDS, _TIMES),
        area=_AREA,
    )
    return (NamedStyle("By status", qml),)


def observations_styles() -> tuple[NamedStyle, ...]:
    """Style of the layer `observations`: by outcome; the latest of each event, or those of a date."""
    rules = [
        Rule(label, f"\"outcome\" = '{outcome}' AND {_SHOWN}", symbol) for outcome, label, symbol in _OUTCOMES
    ]
    qml = Template(read_style("observations.qml")).substitute(
        renderer=rule_renderer("Outcome, latest observation", rules),
        fields=field_elements(_OBSERVATION_FIELDS, _TIMES),
        scene=plain_text('"scene"'),
        baseline="coalesce(" + plain_text('"baseline"') + ", '-')",
    )
    return (NamedStyle("By outcome", qml),)
