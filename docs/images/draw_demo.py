"""Draws docs/images/demo.jpg: the scene before, the result in QGIS, the report page, and the terminal.

The pair is the one with seed 1 of simulated Sentinel-2 scenes, the first there is. Run with the system's
Python, which has PyQGIS, and with Chromium:

    QT_QPA_PLATFORM=offscreen python3 docs/images/draw_demo.py .venv/bin/rsdetect
"""

import html
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from qgis.core import QgsApplication, QgsMapRendererParallelJob, QgsMapSettings, QgsProject
from qgis.PyQt.QtCore import QPoint, QRect, QSize, Qt
from qgis.PyQt.QtGui import QColor, QImage, QPainter

ROOT = Path(__file__).parents[2]
PANEL = 640  # pixels
GAP = 12
SIMULATE = ("simulate", "--kind", "s2-swir", "--size", "512", "--seed", "1", "--out", "scenes")
DETECT = ("detect", "scenes/before.tif", "scenes/after.tif", "--out", "result")
TERMINAL = """<!doctype html><meta charset="utf-8"><body style="margin:0;background:#10161d;color:#d7dee6">
<pre style="font:14px/1.5 monospace;margin:20px;white-space:pre-wrap">{}</pre>"""


def main(command):
    """Run the demo in a folder that passes, and draw its four panels."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = [part for each in (SIMULATE, DETECT) for part in on_terminal(command, each, folder)]
        page = folder / "terminal.html"
        page.write_text(TERMINAL.format(html.escape("\n".join(lines))), encoding="utf-8")
        before, result = maps(folder / "result" / "changes.qgz")
        panels = [
            *(before, result),
            screenshot(folder / "result" / "report.html", folder / "report.png", 1.6),
            screenshot(page, folder / "terminal.png", 1.0),
        ]
        size = 2 * PANEL + GAP
        image = QImage(size, size, QImage.Format_RGB32)
        image.fill(QColor("white"))
        painter = QPainter(image)
        for number, panel in enumerate(panels):
            row, column = divmod(number, 2)
            painter.drawImage(QPoint(column * (PANEL + GAP), row * (PANEL + GAP)), panel)
        painter.end()
        assert image.save(str(ROOT / "docs" / "images" / "demo.jpg"), "JPG", 80)


def on_terminal(command, arguments, folder):
    """Lines that a command leaves on a terminal of 72 columns."""
    written = b""

    def read(descriptor):
        nonlocal written
        part = os.read(descriptor, 65536)
        written += part
        return part

    os.environ["COLUMNS"] = "72"
    os.chdir(folder)
    assert pty.spawn([command, *arguments], read) == 0
    screen = [f"$ rsdetect {' '.join(arguments)}"]
    for line in written.decode().split("\r\n"):
        if "\x1b[1A" in line:  # the line above is written over
            screen.pop()
        screen.append(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line.rpartition("\r")[2]))
    return screen


def maps(project):
    """Pictures of the scene before, and of the changes over the scene after, as the project shows them."""
    application = QgsApplication([], False)
    application.initQgis()
    opened = QgsProject.instance()
    assert opened.read(str(project))
    layers = {name.removeprefix("rsdetect_"): layer for name, layer in opened.mapLayers().items()}
    before, after = (layers[f"{date}_true_colour"] for date in ("before", "after"))
    pictures = [drawn(shown, before) for shown in ([before], [layers["changes"], after])]
    layers.clear()
    opened.clear()
    return pictures


def drawn(layers, extent_of):
    """Picture of layers, from above."""
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setExtent(extent_of.extent())
    settings.setOutputSize(QSize(PANEL, PANEL))
    settings.setDestinationCrs(extent_of.crs())
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    return job.renderedImage()


def screenshot(page, target, scale):
    """Picture of the top of a page in Chromium, made smaller by `scale`."""
    edge = round(PANEL * scale)
    window = f"--window-size={edge},{edge + 200}"
    options = ("--headless", "--no-sandbox", "--hide-scrollbars", "--virtual-time-budget=5000", window)
    subprocess.run(["/usr/bin/chromium", *options, f"--screenshot={target}", page.as_uri()], check=True)  # noqa: S603
    top = QImage(str(target)).copy(QRect(0, 0, edge, edge))
    return top.scaled(PANEL, PANEL, transformMode=Qt.SmoothTransformation)


if __name__ == "__main__":
    main(str(Path(sys.argv[1]).absolute()))
