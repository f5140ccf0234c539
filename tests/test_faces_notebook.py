"""The notebook with a network of 256 x 256 runs on a random one, and its checks can fail."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
import torch

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "faces_256.ipynb"


@pytest.fixture
def cells(monkeypatch):
    """The code, without the cell that installs this library."""
    pytest.importorskip("diffusers", reason="the extra 'diffusers' is not installed")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return {cell.id: cell.source for cell in code if "install" not in cell.metadata.get("tags", ())}


def run(cells) -> dict:
    names: dict = {}
    with torch.random.fork_rng():
        for source in cells.values():
            exec(source, names)
    return names


def test_it_restores_with_a_random_network_of_that_architecture(cells, capsys):
    names = run(cells)
    assert not names["DOWNLOAD"]
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("EpsDenoiser 3 channels NoiseSchedule(T=1000")
    assert [line[:3] for line in said[2:]] == ["ok "] * 3
    config = names["denoiser"].net.config
    assert (config.sample_size, len(config.block_out_channels)) == (256, 6)
    assert names["figure"].axes


def test_another_h_in_the_run_is_told(cells, capsys):
    """The mask that is restored with is not the one that was measured with."""
    cells["run"] = cells["run"].replace("restore(denoiser, op,", "restore(denoiser, other(op),")
    cells["problems"] += (
        "\nPROBLEMS = {'80 % lost': PROBLEMS['80 % lost']}"
        "\nother = lambda op: Inpainting(kept.flip(0), channels=3)"
    )
    run(cells)
    assert capsys.readouterr().out.splitlines()[-1].startswith("NOT 80 % lost")


def test_what_is_downloaded_is_said_and_nothing_is_by_default():
    text = NOTEBOOK.read_text(encoding="utf-8")
    for words in ("455 MB", "Apache-2.0", "huggingface.co", "google.colab"):
        assert words in text
    assert all(not cell.get("outputs") for cell in nbformat.read(NOTEBOOK, as_version=4).cells)
