"""A Chromium without a window, in the DevTools protocol: opens pages, and pictures them."""

import asyncio
import base64
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, final

import aiohttp
import click

PATIENCE_SECONDS = 90.0
"""For a browser to start, or a page to become ready."""
QUIET_SECONDS = 2.5
"""A page is ready when it has asked for nothing for so long, and has all that it asked for."""
STUCK_SECONDS = 6.0
"""Of an answer that never ends, as that of a stream, no more is expected after such a silence."""
SIZE = (1440, 900)


class Page(NamedTuple):
    """What is pictured: an address, JavaScript to run before, and the colours asked for."""

    name: str
    address: str
    presses: tuple[str, ...] = ()
    scheme: str = "light"


class Seen(NamedTuple):
    """What a page asked for and complained of until it was ready."""

    requests: list[str]
    errors: list[str]


@asynccontextmanager
async def started(browser: str) -> AsyncIterator[int]:
    """A browser without a window: the port of its DevTools."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            browser,
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--remote-debugging-port=0", "--no-first-run", "--disable-background-networking"),
            f"--user-data-dir={profile}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            file = Path(profile) / "DevToolsActivePort"
            until = time.monotonic() + PATIENCE_SECONDS
            while not file.exists() or not file.read_text():
                if process.returncode is not None or time.monotonic() > until:
                    raise click.ClickException(f"{browser} did not start")
                await asyncio.sleep(0.2)
            yield int(file.read_text().splitlines()[0])
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


@asynccontextmanager
async def opened(session: aiohttp.ClientSession, port: int) -> AsyncIterator["Tab"]:
    """A new tab of the browser at a port, closed at the end."""
    devtools = f"http://127.0.0.1:{port}/json"
    async with session.put(f"{devtools}/new?about:blank") as answer:
        target = await answer.json()
    async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket_:
        tab = Tab(socket_)
        try:
            yield tab
        finally:
            await tab.close()
    async with session.get(f"{devtools}/close/{target['id']}"):
        pass


@final
class Tab:
    """A tab of the browser, spoken to in the DevTools protocol."""

    def __init__(self, socket_: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._number = socket_, 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._seen, self._heard = Seen([], []), time.monotonic()
        self._loading: set[str] = set()
        self._listener = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Hears nothing more."""
        self._listener.cancel()

    async def show(self, page: Page) -> Seen:
        """Opens a page and waits until it is ready."""
        for domain in ("Page", "Network", "Runtime", "Log"):
            await self._call(f"{domain}.enable")
        width, height = SIZE
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self._call("Emulation.setDeviceMetricsOverride", **screen)
        features = [{"name": "prefers-color-scheme", "value": page.scheme}]
        await self._call("Emulation.setEmulatedMedia", features=features)
        await self._call("Page.navigate", url=page.address)
        await self._quiet()
        for press in page.presses:
            await self._call("Runtime.evaluate", expression=press)
            await self._quiet()
        return self._seen

    async def picture(self) -> bytes:
        """The page as PNG."""
        found = await self._call("Page.captureScreenshot", format="png")
        return base64.b64decode(found["data"])

    async def _quiet(self) -> None:
        self._heard = time.monotonic()
        until = self._heard + PATIENCE_SECONDS
        while time.monotonic() < until:
            silence = time.monotonic() - self._heard
            if silence > (STUCK_SECONDS if self._loading else QUIET_SECONDS):
                return
            await asyncio.sleep(0.1)

    async def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        message = {"id": self._number, "method": method, "params": parameters}
        await self._socket.send_json(message)
        return await asyncio.wait_for(answer, PATIENCE_SECONDS)

    async def _listen(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said.get("result", {}))
            else:
                self._note(said["method"], said["params"])

    def _note(self, method: str, about: dict[str, Any]) -> None:
        if method.startswith(("Network.", "Page.")):
            self._heard = time.monotonic()
        if method in ("Network.loadingFinished", "Network.loadingFailed"):
            self._loading.discard(about["requestId"])
        elif method == "Network.requestWillBeSent":
            self._loading.add(about["requestId"])
            self._seen.requests.append(about["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self._seen.errors.append(json.dumps(about["exceptionDetails"]))
        elif method == "Log.entryAdded" and about["entry"]["level"] == "error":
            self._seen.errors.append(about["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and about["type"] == "error":
            self._seen.errors.append(json.dumps(about["args"]))
