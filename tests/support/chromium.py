"""Pages opened in Chromium."""

import json
import os
import shutil
import subprocess
from urllib.parse import urlparse

import numpy as np
import pytest
import rasterio

# Chromium asks these by itself, whatever page it shows.
ITS_OWN = ("google.com", "googleapis.com", "gvt1.com")


def opened_in_chromium(page, folder):
    """(what the console said, hosts that were asked) when Chromium opens the page."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed: apt-get install chromium")
        pytest.skip("Chromium is not installed")
    log = folder / "net.json"
    command = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--enable-logging=stderr",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--log-net-log={log}",
        f"--user-data-dir={folder / 'profile'}", f"--screenshot={folder / 'page.png'}",
        "--window-size=1200,2000", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    with rasterio.open(folder / "page.png") as picture:
        assert np.ptp(picture.read(1)) > 100, "nothing is drawn"
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    events = json.loads(log.read_text())["events"]
    urls = {str(event["params"]["url"]) for event in events if "url" in event.get("params", {})}
    hosts = {urlparse(url).hostname for url in urls if urlparse(url).scheme.startswith("http")}
    return said, {host for host in hosts if host and not host.endswith(ITS_OWN)}
