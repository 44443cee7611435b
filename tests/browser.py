"""A real browser, headless, driven over the WebDriver protocol: plain HTTP and JSON."""

import base64
import json
import os
import shutil
import subprocess
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOM = ["--no-sandbox"] if os.geteuid() == 0 else []  # root has no sandbox to run in
ARGUMENTS = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", *ROOM]


class Browser:
    """One session. What it may be asked is in its methods."""

    def __init__(self, port, profile):
        self.root = f"http://127.0.0.1:{port}"
        options = {"args": [*ARGUMENTS, f"--user-data-dir={profile}"]}
        asked = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": asked}})
        self.root += f"/session/{session['sessionId']}"

    def _call(self, method, path, body=None):
        request = urllib.request.Request(
            self.root + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def command(self, name, **parameters):
        """A command of the DevTools protocol."""
        return self._call("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def size(self, width, height, *, dark=False):
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, path):
        self.visit(Path(path).absolute().as_uri())

    def visit(self, url):
        self._call("POST", "/url", {"url": url})

    def run(self, script):
        """What the body of a function returns, run in the page."""
        return self._call("POST", "/execute/sync", {"script": script, "args": []})

    def said(self):
        """Messages of the console since the last call."""
        return [entry["message"] for entry in self._call("POST", "/se/log", {"type": "browser"})]

    def requests(self):
        """Addresses asked for since the last call."""
        events = self._call("POST", "/se/log", {"type": "performance"})
        messages = [json.loads(event["message"])["message"] for event in events]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def picture(self, path, *, whole=True):
        shot = self.command("Page.captureScreenshot", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(shot["data"]))

    def close(self):
        self._call("DELETE", "")


@contextmanager
def browser(profile):
    """A browser that ends with the block; the test skips where none is installed."""
    driver = shutil.which("chromedriver")
    if driver is None or not any(map(shutil.which, ("chromium", "google-chrome", "chrome"))):
        pytest.skip("no chromium with chromedriver is installed")
    process = subprocess.Popen(
        [driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        started = (line for line in process.stdout if "started successfully on port" in line)
        session = Browser(int(next(started).strip().rstrip(".").rpartition(" ")[2]), profile)
        try:
            yield session
        finally:
            session.close()
    finally:
        process.terminate()
        process.wait(timeout=30)
        process.stdout.close()
