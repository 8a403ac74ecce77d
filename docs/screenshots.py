"""Pictures of a finished study as MLflow's pages and the report show it, and what the report asks.

Starts ``study ui`` on a port of the loopback address and a Chromium without a window, opens each
page, waits until nothing is loaded any more, and writes one PNG for each. Fails where the report
alone writes an error to the console, or asks for anything but its own file.
"""

import asyncio
import base64
import io
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import click
from PIL import Image

from study.record import Record
from study.views import views

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_SECONDS = 90.0
QUIET_SECONDS = 2.5
"""A page is ready when it has asked for nothing for so long, and has all that it asked for."""
STUCK_SECONDS = 6.0
"""Of an answer that never ends, as that of a stream, no more is expected after such a silence."""
SIZE = (1440, 900)
COLOURS = 96
KIND = "workflowType=machine_learning"


def _press(selector: str) -> str:
    """JavaScript that presses what a selector finds, if it does."""
    return f"document.querySelector({json.dumps(selector)})?.click()"


HIDE = _press("[data-component-id='mlflow.experiment_page.shared_view.dismiss']")
CLOSE = _press("[data-component-id='mlflow.assistant.chat_panel.close']")
EXPAND = _press(".ag-row [data-component-id*='runnamecellrenderer']")
MORE = """[...document.querySelectorAll('button, a')]
.find(button => button.textContent === 'Show more')?.click()"""
UNFOLD = _press("[data-component-id='mlflow.experiment.metadata_editor.expand_button']")


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


@click.command()
@click.option("--root", type=click.Path(path_type=Path, exists=True), default="studies")
@click.option("--name", help="Of the study; not needed where there is one.")
@click.option("--out", type=click.Path(path_type=Path), default="docs/pictures", show_default=True)
@click.option("--only", multiple=True, help="Pictures to take, by name; all by default.")
def command(root: Path, name: str | None, out: Path, only: tuple[str, ...]) -> None:
    """Take pictures of the study NAME below ROOT."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise click.ClickException(f"no browser: install one of {', '.join(BROWSERS)}")
    name = name or _only_study(root)
    out.mkdir(parents=True, exist_ok=True)
    with _served(root) as server:
        pages = [p for p in _pages(root, name, server) if not only or p.name in only]
        problems = asyncio.run(_pictured(browser, pages, out))
    if problems:
        raise click.ClickException("\n".join(problems))


def _only_study(root: Path) -> str:
    names = [path.parent.name for path in root.glob("*/study.json")]
    if len(names) != 1:
        raise click.ClickException(f"{root} holds {len(names)} studies; say which with --name")
    return names[0]


@contextmanager
def _served(root: Path) -> Iterator[str]:
    """``study ui`` over a folder of studies, once it answers: its address."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
    words = [sys.executable, "-m", "study", "ui", "--root", str(root), "--port", str(port)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + PATIENCE_SECONDS
            while not _answers(f"http://127.0.0.1:{port}/health"):
                if process.poll() is not None or time.monotonic() > until:
                    raise click.ClickException(f"`study ui --root {root}` did not start")
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()


def _answers(address: str) -> bool:
    try:
        return bool(urllib.request.urlopen(address, timeout=5).status == 200)
    except OSError:
        return False


def _pages(root: Path, name: str, server: str) -> list[Page]:
    api = f"{server}api/2.0/mlflow"
    quoted = urllib.parse.quote(name)
    found = _asked(f"{api}/experiments/get-by-name?experiment_name={quoted}")
    number = found["experiment"]["experiment_id"]
    search = {"experiment_ids": [number], "filter": "tags.phase = 'study'"}
    (own, *_) = _asked(f"{api}/runs/search", search)["runs"]
    search["filter"] = "tags.phase = 'search' and tags.state = 'complete'"
    (best, *_) = _asked(f"{api}/runs/search", search)["runs"]
    page, run = f"{server}#/experiments/{number}", own["info"]["run_id"]
    record = Record(root / name)
    known = views(record.config, record.manifest["combinations"])
    at = {view.key: view.address for view in known}
    report = (root / name / "report" / "report.html").absolute().as_uri()
    return [
        Page("experiment", f"{page}/runs?{KIND}", (UNFOLD,)),
        Page("runs", f"{page}{at['study-all']}", (HIDE, EXPAND)),
        *(
            Page(key.removeprefix("study-"), f"{page}{at[key]}", (HIDE,))
            for key in ("study-best", "study-charts", "study-combinations", "study-progress")
        ),
        Page("study", f"{page}/runs/{run}?{KIND}", (MORE,)),
        Page("report", f"{page}/runs/{run}/artifacts/report/report.html?{KIND}"),
        Page("trial", f"{page}/runs/{best['info']['run_id']}?{KIND}"),
        Page("registry", f"{server}#/models/{quoted}?{KIND}"),
        Page("report-light", report),
        Page("report-dark", report, scheme="dark"),
    ]


def _asked(address: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
    data = json.dumps(content).encode() if content else None
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer))


async def _pictured(browser: str, pages: list[Page], out: Path) -> list[str]:
    """Takes all pictures; returns what is wrong with the report."""
    problems = []
    async with _started(browser) as port, aiohttp.ClientSession() as session:
        for page in pages:
            async with _opened(session, port) as tab:
                seen = await tab.show(page)
                _write(await tab.picture(), out / f"{page.name}.png")
            click.echo(f"{out / page.name}.png")
            if page.address.startswith("file:"):
                problems += [f"{page.name}: {error}" for error in seen.errors]
                foreign = [address for address in seen.requests if _is_foreign(address, page)]
                problems += [f"{page.name}: asks for {address[:200]}" for address in foreign]
    return problems


def _is_foreign(address: str, page: Page) -> bool:
    return not address.startswith("data:") and address.partition("#")[0] != page.address


def _write(png: bytes, path: Path) -> None:
    """In few colours, which is all that pages have, and a fifth of the bytes."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


@asynccontextmanager
async def _started(browser: str) -> AsyncIterator[int]:
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
async def _opened(session: aiohttp.ClientSession, port: int) -> AsyncIterator["Tab"]:
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
        for press in (CLOSE, *page.presses):
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


if __name__ == "__main__":
    command()
