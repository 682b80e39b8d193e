"""Templates of pages: the Jinja environment and its filters. The templates here extend `base.html`."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from rsdetect.amounts import area_text
from rsdetect.secrets import without_secrets

if TYPE_CHECKING:  # slow to import, and needed by few commands
    from jinja2 import Environment
    from markupsafe import Markup


@dataclass(frozen=True)
class PageScript:
    """Script of a page, and the SHA-256 by which the page's policy allows it and no other."""

    text: Markup
    sha256: str  # base64


def render(template: str, **content: Any) -> str:
    """Render a page's template as HTML; `content` is escaped, and a missing name raises."""
    return _template_environment().get_template(template).render(**content)


def script(*names: str) -> PageScript:
    """Script of a page from files in the folder of the templates, one after the other."""
    from markupsafe import Markup

    text = "".join((files("rsdetect.pages") / name).read_text(encoding="utf-8") for name in names)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return PageScript(Markup(text), digest)  # noqa: S704 - our own file


def day(moment: datetime | None) -> str:
    """Template filter: ISO date of a moment; "" for None."""
    return "" if moment is None else moment.date().isoformat()


def area(area_m2: float | None) -> str:
    """Template filter: area in m², ha or km² with three digits; "" for None.

    >>> area(9_123), area(25_000)
    ('9,123 m²', '2.5 ha')
    """
    return "" if area_m2 is None else area_text(area_m2)


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
    templates.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    templates.filters |= {"day": day, "area": area, "percent": percent}
    return templates
