"""Draws docs/images/demo.jpg with QGIS: the scenes of the demo, its polygons and its probability.

Run with the system's Python, which has PyQGIS, after `make demo`:

    QT_QPA_PLATFORM=offscreen python3 docs/images/draw_demo.py
"""

import sys
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QPoint, QSize
from qgis.PyQt.QtGui import QColor, QImage, QPainter

ROOT = Path(__file__).parents[2]
PANEL = 480  # pixels
GAP = 8


def main(results: Path) -> None:
    """Draw three panels beside each other: before; after with the polygons; the probability."""
    application = QgsApplication([], False)
    application.initQgis()
    sample = ROOT / "data" / "sample"
    before, after, probability = (
        QgsRasterLayer(str(path), path.stem)
        for path in (sample / "before.tif", sample / "after.tif", results / "change_probability.tif")
    )
    changes = QgsVectorLayer(f"{results / 'changes.gpkg'}|layername=changes", "changes", "ogr")
    panels = [[before], [changes, after], [probability]]
    image = QImage(PANEL * len(panels) + GAP * (len(panels) - 1), PANEL, QImage.Format_RGB32)
    image.fill(QColor("white"))
    painter = QPainter(image)
    for number, layers in enumerate(panels):
        assert all(layer.isValid() for layer in layers)
        painter.drawImage(QPoint(number * (PANEL + GAP), 0), _panel(layers, after.extent()))
    painter.end()
    assert image.save(str(ROOT / "docs" / "images" / "demo.jpg"), "JPG", 88)
    del before, after, probability, changes, panels, layers
    application.exitQgis()


def _panel(layers, extent):
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setExtent(extent)
    settings.setOutputSize(QSize(PANEL, PANEL))
    settings.setDestinationCrs(layers[0].crs())
    settings.setBackgroundColor(QColor("white"))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    return job.renderedImage()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "demo-output")
