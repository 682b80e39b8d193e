"""Pages opened in Chromium."""

import html
import json
import os
import re
import shutil
import subprocess
from urllib.parse import urlparse

import numpy as np
import pytest
import rasterio

# Shared memory is small in containers, and Chromium would crash where several use it.
QUIETLY = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage")
# Chromium asks these by itself, whatever page it shows.
ITS_OWN = ("google.com", "googleapis.com", "gvt1.com")


def _chromium():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed: apt-get install chromium")
        pytest.skip("Chromium is not installed")
    return chromium


def opened_in_chromium(page, folder):
    """(what the console said, hosts that were asked) when Chromium opens the page."""
    log = folder / "net.json"
    command = [
        _chromium(), *QUIETLY,
        "--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND", f"--log-net-log={log}",
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


def asked_in_chromium(page, folder, script, size=(1200, 2000)):
    """What the function body `script` returns in the page, once it has loaded and drawn.

    The policy of the page, which allows its own script only, is taken off a copy.
    """
    text = re.sub(
        r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"), count=1
    )
    asking = (
        "<script>addEventListener('load', () => setTimeout(() => {"
        "let answer; try { answer = (() => {" + script + "})(); } catch (error) { answer = String(error); }"
        "const said = document.createElement('pre'); said.id = 'answer';"
        "said.textContent = JSON.stringify(answer); document.documentElement.append(said);"
        "}, 300))</script></body>"
    )
    copy = folder / f"asked_{page.name}"
    copy.write_text(text.replace("</body>", asking), encoding="utf-8")
    command = [
        _chromium(), *QUIETLY,
        f"--user-data-dir={folder / 'asked profile'}", f"--window-size={size[0]},{size[1]}",
        "--virtual-time-budget=5000", "--dump-dom", copy.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    return json.loads(html.unescape(re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, re.DOTALL)[1]))
