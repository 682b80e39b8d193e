"""Metadata of a layer as QGIS reads it: title, abstract, source, lineage, licence and run."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from rsdetect.secrets import without_secrets


@dataclass(frozen=True)
class LayerDescription:
    """Description of a layer: what it shows, and how it came about.

    Attributes
    ----------
    run
        Identity of the run that made it, as in its record; "" = unknown.
    history
        Steps and sources, one sentence each.
    licence
        Terms of the scenes; "" = unknown.
    """

    title: str
    abstract: str
    run: str = ""
    history: tuple[str, ...] = ()
    licence: str = ""


def qgis_metadata(described: LayerDescription) -> str:
    """Metadata of a layer as an XML document of QGIS."""
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        f'<qgis version="3.22.16">\n{metadata_elements(described)}</qgis>\n'
    )


def metadata_elements(described: LayerDescription) -> str:
    """Elements of the metadata, which a QGIS project has inside `resourceMetadata`."""
    entries = [
        ("identifier", described.run),
        ("language", "ENG"),
        ("type", "dataset"),
        ("title", described.title),
        ("abstract", described.abstract),
        *(("history", step) for step in described.history),
    ]
    if described.licence:
        entries.append(("license", described.licence))
    return "".join(f"<{name}>{escape(without_secrets(text))}</{name}>\n" for name, text in entries)
