"""A real Chromium without a window: it shows a page in any width and colour scheme, answers scripts, and takes pictures."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
"""Empty where there is none."""


class Browser:
    """One page of a browser that can reach nothing but this machine; it is talked to over two pipes."""

    def __init__(self, place: Path) -> None:
        """Start it; its profile and its pages are written to `place`."""
        self._place = place
        self._numbers = itertools.count(1)
        reads, their_answers = os.pipe()
        their_orders, writes = os.pipe()
        command = (
            'exec "$0" --headless --no-sandbox --hide-scrollbars --disable-gpu --disable-dev-shm-usage --remote-debugging-pipe '
            '--host-resolver-rules="MAP * ~NOTFOUND, EXCLUDE 127.0.0.1" --user-data-dir="$1" about:blank '
            f"3<&{their_orders} 4>&{their_answers} >/dev/null 2>&1"
        )
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", command, PROGRAM, str(place / "profile")], pass_fds=(their_orders, their_answers)
        )
        os.close(their_orders)
        os.close(their_answers)
        self._answers, self._orders = os.fdopen(reads, "rb"), os.fdopen(writes, "wb", 0)
        self._rest = b""
        self.requests: list[str] = []
        """The address of everything that pages asked for since they were shown."""
        (target,) = (one for one in self._ask("Target.getTargets")["targetInfos"] if one["type"] == "page")
        attached = self._ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session: str | None = attached["sessionId"]
        self._ask("Page.enable")
        self._ask("Network.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._orders.close()
        self._answers.close()
        self._process.terminate()
        self._process.wait(timeout=20)

    def show(self, html: str, *, width: int, is_dark: bool, scale: float = 1) -> None:
        """Load the page as a window of that width and a reader of that taste have it."""
        page = self._place / "page.html"
        page.write_text(html, encoding="utf-8")
        self.open(page.as_uri(), width=width, is_dark=is_dark, scale=scale)

    def open(self, url: str, *, width: int, is_dark: bool, scale: float = 1) -> None:
        """The same with a page of this machine."""
        self.requests.clear()
        self._emulate(width, scale, is_dark=is_dark)
        self._ask("Page.navigate", url=url)
        while self.evaluate("document.readyState + location.href") != f"complete{url}":
            pass

    def turn(self, *, width: int, is_dark: bool) -> None:
        """Show the same page in a window of another width, or to a reader of another taste: to load it takes much longer."""
        self._emulate(width, 1, is_dark=is_dark)
        while self.evaluate("[innerWidth, matchMedia('(prefers-color-scheme: dark)').matches]") != [width, is_dark]:
            pass

    def _emulate(self, width: int, scale: float, *, is_dark: bool) -> None:
        looks = [{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}]
        self._ask("Emulation.setEmulatedMedia", features=looks)
        size = {"width": width, "height": 100, "deviceScaleFactor": scale, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", **size)

    def evaluate(self, script: str) -> Any:  # noqa: ANN401 -- whatever a script gives
        """Return what the script gives, as JSON can write it."""
        answer = self._ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self, *, kind: str = "png", quality: int | None = None, height: int | None = None) -> bytes:
        """Return a picture of the whole page, or of so much of its top."""
        size = self.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": size[0], "height": min(size[1], height or size[1]), "scale": 1}
        more = {"quality": quality} if quality else {}
        shot = self._ask("Page.captureScreenshot", format=kind, clip=clip, captureBeyondViewport=True, **more)
        return base64.b64decode(shot["data"])

    def _ask(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        session = getattr(self, "_session", None)
        order = {"id": number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        self._orders.write(json.dumps(order).encode() + b"\0")
        while True:
            answer = json.loads(self._next())
            if answer.get("method") == "Network.requestWillBeSent":
                self.requests.append(answer["params"]["request"]["url"])
            if answer.get("id") == number:
                assert "error" not in answer, answer
                found = answer["result"]
                assert isinstance(found, dict)
                return found

    def _next(self) -> bytes:
        while b"\0" not in self._rest:
            more = os.read(self._answers.fileno(), 1 << 16)
            assert more, "the browser has ended"
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        return message
