"""Looks at a page in headless Chromium, without scripts: python3 look.py CHROMIUM FOLDER URL.

Writes a screenshot of the whole page for each width and colour scheme into FOLDER, and prints as JSON what was seen: requests,
complaints, widths, contrasts, what a screen reader is told, the size of its print. Talks over Chromium's own pipe, so that
nothing beside Python is needed.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PATIENCE = 150
VIEWS = [(1280, "light"), (1280, "dark"), (320, "light"), (320, "dark")]

# The least contrast of any text with what lies behind it (WCAG 2.2, 1.4.3), and where that is.
CONTRAST = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = text => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
                         return Array.from(canvas.getImageData(0, 0, 1, 1).data); };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => { for (let e = element; e; e = e.parentElement) {
    const colour = rgba(getComputedStyle(e).backgroundColor); if (colour[3] === 255) return colour; } return [255, 255, 255]; };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let worst = {ratio: 21, text: ''};
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    if (!text || element.closest('svg') || !element.checkVisibility()) continue;
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < worst.ratio) worst = {ratio, text: text.slice(0, 80)};
  }
  return worst;
})()"""


class Browser:
    """Chromium, spoken to over its pipe."""

    def __init__(self, program, folder):
        to_read, self.to = os.pipe()
        self.come, from_write = os.pipe()
        arguments = ["--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--no-first-run", "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
                     f"--user-data-dir={folder}", "about:blank"]

        def place():
            # Above what is to be replaced first, for one of the two may be 3 or 4.
            read, write = os.dup2(to_read, 103, True), os.dup2(from_write, 104, True)
            os.dup2(read, 3, True)
            os.dup2(write, 4, True)

        self.process = subprocess.Popen([program, *arguments], close_fds=False, preexec_fn=place,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(from_write)
        self.rest, self.number, self.events, self.session = b"", 0, [], None

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.next()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def next(self):
        while b"\0" not in self.rest:
            piece = os.read(self.come, 1 << 20)
            if not piece:
                raise RuntimeError("Chromium has ended")
            self.rest += piece
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def wait(self, method):
        """Waits for an event, those that came meanwhile included."""
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.next())

    def evaluate(self, script):
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        return result["result"].get("value")

    def end(self):
        self.process.kill()
        self.process.wait()


def look(browser, url, width, scheme):
    browser.events.clear()
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.call("Page.navigate", url=url)
    browser.wait("Page.loadEventFired")
    metrics = browser.call("Page.getLayoutMetrics")
    background = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    seen = {"width": width, "scheme": scheme, "wide": metrics["cssContentSize"]["width"], "background": background,
            "contrast": browser.evaluate(CONTRAST)}
    shot = browser.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
    # A moment for what may still be asked for.
    browser.evaluate("0")
    events = [(event.get("method"), event.get("params", {})) for event in browser.events]
    seen["requests"] = [it["request"]["url"] for method, it in events if method == "Network.requestWillBeSent"]
    seen["failed"] = [it["errorText"] for method, it in events if method == "Network.loadingFailed"]
    seen["complaints"] = [it["entry"]["text"] for method, it in events if method == "Log.entryAdded"]
    seen["complaints"] += [str(it) for method, it in events
                           if method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled")]
    return seen, base64.b64decode(shot["data"])


def told(browser):
    """What a screen reader is told: roles with names."""
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    said = [(node.get("role", {}).get("value"), node.get("name", {}).get("value")) for node in nodes if not node["ignored"]]
    wanted = ("heading", "img", "image", "table", "textbox", "searchbox", "button", "columnheader", "navigation", "main", "region")
    return [[role, name] for role, name in said if role in wanted]


def main(program, folder, url):
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(program, profile)
        try:
            target = browser.call("Target.createTarget", url="about:blank")["targetId"]
            browser.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Network", "Log", "Runtime"):
                browser.call(f"{domain}.enable")
            browser.call("Emulation.setScriptExecutionDisabled", value=True)
            views = []
            for width, scheme in VIEWS:
                seen, shot = look(browser, url, width, scheme)
                Path(folder, f"page-{width}-{scheme}.png").write_bytes(shot)
                views.append(seen)
            language = browser.evaluate("document.documentElement.lang")
            pdf = base64.b64decode(browser.call("Page.printToPDF")["data"])
            Path(folder, "page.pdf").write_bytes(pdf)
            print(json.dumps({"views": views, "told": told(browser), "language": language, "print": len(pdf)}))
        finally:
            browser.end()


main(*sys.argv[1:])
