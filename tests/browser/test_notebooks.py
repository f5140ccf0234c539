"""JupyterLab and Notebook 7 run lecture 01, and its slider has one picture, which changes."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
(LECTURE,) = sorted((ROOT / "lectures").glob("01_*.ipynb"))
SLIDER = next(
    k
    for k, cell in enumerate(json.loads(LECTURE.read_text(encoding="utf-8"))["cells"])
    if "interact(" in "".join(cell["source"])
)
SECONDS = 240  # for a lecture that takes half a minute, on a machine that does other things as well

pytestmark = pytest.mark.browser

# The application gives itself away as `jupyterapp` because it is asked to at its start.
RUN = f"""async () => {{
    const panel = jupyterapp.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    await jupyterapp.commands.execute("notebook:run-all-cells");
    panel.content.activeCellIndex = {SLIDER};
    await panel.content.scrollToItem({SLIDER});
    const said = [];
    for (const cell of panel.content.widgets) {{
        const tags = cell.model.getMetadata("tags") ?? [];
        for (const output of cell.model.sharedModel.cell_type === "code"
            ? cell.model.sharedModel.outputs : [])
            if (output.output_type === "error" && !tags.includes("raises-exception"))
                said.push(output.ename + ": " + output.evalue);
    }}
    return said;
}}"""
READY = """() => {
    const panel = window.jupyterapp?.shell?.currentWidget;
    return Boolean(panel?.content?.widgets?.length > 10 && panel.sessionContext.session?.kernel);
}"""
PICTURES = ".widget-interact .jp-OutputArea-output img"


@pytest.fixture(
    params=[("jupyterlab", "lab/tree", "LabApp"), ("notebook", "notebooks", "JupyterNotebookApp")],
    ids=["JupyterLab", "Notebook 7"],
)
def opened(request, tmp_path):
    """The address of lecture 01 in a server of its own, which ends with the test."""
    program, path, app = request.param
    module = __import__(program)
    python = Path(module.__file__).parents[4] / "bin" / "python"  # beside its assets
    shutil.copy(LECTURE, tmp_path)
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python, "-m", program, "--no-browser", "--allow-root", f"--port={port}"]
    command += [
        "--ServerApp.ip=127.0.0.1",
        "--IdentityProvider.token=",
        f"--{app}.expose_app_in_browser=True",
    ]
    command += [f"--ServerApp.root_dir={tmp_path}"]
    own = {
        "PYTHONPATH": str(ROOT),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "HOME": str(tmp_path),
    }
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(
            command, env=os.environ | own, stdout=log, stderr=subprocess.STDOUT, cwd=tmp_path
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/api", server, tmp_path / "server.log")
            yield f"http://127.0.0.1:{port}/{path}/{LECTURE.name}"
        finally:
            server.terminate()
            server.wait(30)


def wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    """Until the server answers; its own words if it ends instead."""
    for _ in range(240):
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            if server.poll() is not None:
                break
            time.sleep(0.5)
    pytest.fail(f"The server did not answer:\n{log.read_text()[-2000:]}")


def test_a_slider_changes_its_one_picture(opened, page):
    page.context.set_offline(False)  # the server of this machine
    page.set_default_timeout(1000 * SECONDS)
    page.goto(opened)
    page.wait_for_function(READY)
    assert page.evaluate(RUN) == []
    page.wait_for_selector(PICTURES)
    page.wait_for_timeout(1000)  # a second picture would have come by now
    before = page.locator(PICTURES)
    assert before.count() == 1
    source = before.get_attribute("src")
    said = before.get_attribute("alt")
    assert said.startswith("Prior, measurement and posterior")
    # By the mouse: while no cell is edited, both take the arrows of the keyboard for themselves, to
    # go to the next heading, even from a slider that has the focus.
    handle = page.locator(".widget-interact .noUi-handle").first
    handle.hover()
    box = handle.bounding_box()
    page.mouse.down()
    page.mouse.move(box["x"] + 40, box["y"] + box["height"] / 2)
    page.mouse.up()
    page.wait_for_function(
        "([where, old]) => [...document.querySelectorAll(where)].some(each => each.src !== old)",
        arg=[PICTURES, source],
    )
    page.wait_for_timeout(1000)
    assert page.locator(PICTURES).count() == 1
    assert page.locator(PICTURES).get_attribute("src") != source
    assert page.locator(PICTURES).get_attribute("alt") != said  # it tells the values
