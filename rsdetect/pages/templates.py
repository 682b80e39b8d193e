"""Templates of pages: the Jinja environment and its filters. The templates here extend `base.html`."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from rsdetect.secrets import without_secrets

if TYPE_CHECKING:  # slow to import, and needed by few commands
    from jinja2 import Environment

_HECTARE_M2 = 10_000


def render(template: str, **content: Any) -> str:
    """Render a page's template as HTML; `content` is escaped, and a missing name raises."""
    return _template_environment().get_template(template).render(**content)


def day(moment: datetime | None) -> str:
    """Template filter: ISO date of a moment; "" for None."""
    return "" if moment is None else moment.date().isoformat()


def area(area_m2: float | None) -> str:
    """Template filter: area in square metres, or in hectares from one hectare; "" for None.

    >>> area(9_999), area(25_000)
    ('9,999 m²', '2.5 ha')
    """
    if area_m2 is None:
        return ""
    return f"{area_m2:,.0f} m²" if area_m2 < _HECTARE_M2 else f"{area_m2 / _HECTARE_M2:,.1f} ha"


def percent(share: float | None) -> str:
    """Template filter: share between 0 and 1 in integer percent; "" for None."""
    return "" if share is None else f"{share:.0%}"


@cache
def _template_environment() -> Environment:
    """Jinja environment of all page templates."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("rsdetect.pages", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: without_secrets(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"day": day, "area": area, "percent": percent}
    return templates
