"""Pictures of a finished study as MLflow's pages and the report show it, and what the report asks.

Starts ``study ui`` on a port of the loopback address and a Chromium without a window, opens each
page, waits until nothing is loaded any more, and writes one PNG for each. Fails where the report
alone writes an error to the console, or asks for anything but its own file.
"""

import asyncio
import io
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import click
from browser import PATIENCE_SECONDS, Page, opened, started
from PIL import Image

from study.record import Record
from study.views import views

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
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
    async with started(browser) as port, aiohttp.ClientSession() as session:
        for page in pages:
            async with opened(session, port) as tab:
                seen = await tab.show(page._replace(presses=(CLOSE, *page.presses)))
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


if __name__ == "__main__":
    command()
