"""``ddrm-edu evaluate`` as it is typed."""

import json
import sys
import types

import pytest
import torch
from click.testing import CliRunner

from ddrm_edu import load_images
from ddrm_edu.cli import main

STUB = "def shrink(x, sigma):\n    return x / (1 + sigma**2)\n"
FEW = ["--count", "2", "--task", "superres:2", "--steps", "2"]


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "stub.py").write_text(STUB)

    def run(*words, model=f"{tmp_path / 'stub.py'}:shrink"):
        how = ["--model", model, "-o", str(tmp_path / "out")]
        return CliRunner().invoke(main, ["evaluate", *words, *how])

    return run


def test_a_run_and_the_same_again(evaluate, tmp_path):
    methods = ["--method", "bicubic", "--method", "ddrm", "--eta", "own,1"]
    first = evaluate("natural", *FEW, *methods)
    assert first.exit_code == 0, first.output
    assert "3 cells on 2 images of shape (3, 32, 32), 1 draw(s) each" in first.output
    assert "table.md" in first.output
    again = evaluate("natural", *FEW, *methods)
    assert "3 of 3 chunks are there already" in again.output
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["count"], manifest["draws"], manifest["device"]) == (2, 1, "cpu")
    other = evaluate("natural", *FEW, *methods, "--draws", "2")
    assert other.exit_code == 1
    assert "other settings, and nothing is overwritten: draws is 2, was 1" in other.output
    (tmp_path / "stub.py").write_text(STUB + "# another model\n")
    assert "model_sha256 is" in evaluate("natural", *FEW, *methods).output
    anew = evaluate("--tables")
    assert anew.exit_code == 0, anew.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["natural", "--task", "sharpen"], "--task must be denoise"),
        (["natural", "--steps", "many"], "--steps expects numbers with commas, such as 20,50"),
        (["natural", "--sigma-y", "5%"], "--sigma-y expects numbers with commas, such as 0,0.05"),
        (["nothing"], "there is no folder 'nothing'"),
        (["natural", "--chunk", "0"], "--chunk and --draws must be positive"),
        (["natural", "--method", "magic"], "--method must begin with one of"),
        (["--tables"], "is no folder of an evaluation"),
        (["natural", "--device", "abacus"], "--device abacus cannot be used here"),
        (["natural", "--lpips", "--count", "1"], "--lpips needs torchmetrics"),
    ],
)
def test_bad_words_are_one_sentence_and_leave_nothing(evaluate, tmp_path, words, told):
    result = evaluate(*words)
    assert result.exit_code == 1, result.output
    assert told in result.output
    assert not (tmp_path / "out").exists()


def test_lpips_is_tried_on_one_image_before_the_run(evaluate, tmp_path, monkeypatch):
    tried = []
    fake = types.ModuleType("torchmetrics.functional.image")

    def distance(a, b):
        tried.append((a, b))
        return (a - b).abs().mean()

    fake.learned_perceptual_image_patch_similarity = distance
    for name in ("torchmetrics", "torchmetrics.functional", "torchmetrics.functional.image"):
        monkeypatch.setitem(sys.modules, name, fake)
    result = evaluate("natural", *FEW, "--method", "bicubic", "--lpips")
    assert result.exit_code == 0, result.output
    assert len(tried) == 1 + 2
    for image in tried[0]:
        assert torch.equal(image, load_images("natural")[:1])
    assert ",lpips," in (tmp_path / "out" / "table.csv").read_text().splitlines()[0]


def test_a_network_of_other_channels_is_refused(evaluate):
    assert "takes pictures of 1 channel(s)" in evaluate("natural", *FEW, model="fashion").output


def test_help_has_an_example():
    text = CliRunner().invoke(main, ["evaluate", "--help"]).output
    assert "ddrm-edu evaluate natural --task inpaint:0.7" in text
    assert "torchrun --nproc-per-node 2 -m ddrm_edu evaluate" in text
