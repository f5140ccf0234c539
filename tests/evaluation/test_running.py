"""Chunks of an evaluation: equal bits wherever they run, resumed, never overwritten."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from ddrm_edu import MomentMatching, restore
from ddrm_edu.evaluation.grid import Cell, grid, operator_of
from ddrm_edu.evaluation.held_out import held_out
from ddrm_edu.evaluation.running import (
    Counted,
    Rank,
    Unit,
    claim,
    measured,
    noise_of,
    run,
    settings_of,
    stored,
    units,
    write_whole,
)
from ddrm_edu.evaluation.tables import as_csv, collected, image_rows

ROOT = Path(__file__).parents[2]
STUB = """
import time
def shrink(x, sigma):
    time.sleep({pause})
    return x / (1 + sigma**2)
"""
MORTAL = """
import os, signal
calls = 0
def shrink(x, sigma):
    global calls
    calls += 1
    if calls == 7 and os.environ.get("RANK") == os.environ.get("DIES", "none"):
        os.kill(os.getpid(), signal.SIGKILL)
    return x / (1 + sigma**2)
"""
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "ddrm_edu")
WORDS = ["natural", "--count", "6", "--chunk", "2", "--draws", "2", "--steps", "2"]
WORDS += ["--task", "inpaint:0.5", "--task", "superres:2", "--sigma-y", "0.1"]
WORDS += ["--method", "pinv", "--method", "ddrm", "--method", "moment-matching"]


def shrink(x, sigma):
    return x / (1 + sigma**2)


@pytest.fixture(scope="module")
def images():
    return held_out("natural", 6)


def settings(images, **changed):
    known = {"chunk": 2, "draws": 2, "seed": 0}
    return replace(settings_of("natural", images, "stub", "0", **known), **changed)


def cells(*methods, steps=3):
    return grid(["inpaint:0.5"], [0.1], methods or ["pinv", "ddrm"], ["own"], [steps], (3, 32, 32))


def command(folder, stub, by=("ddrm_edu",), **environment):
    words = [sys.executable, "-m", *by, "evaluate", *WORDS, "--model", f"{stub}:shrink"]
    words += ["-o", str(folder)]
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("RANK", "WORLD", "SLURM"))}
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    env = {**keep, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen(words, cwd=ROOT, env=env, **pipe)


def test_two_ranks_one_killed_and_resumed_are_one_process_bit_for_bit(tmp_path, images):
    """Eighteen units; the second rank is killed when it has written two of its nine."""
    stub = tmp_path / "stub.py"
    stub.write_text(STUB.format(pause=0.1))
    folder, whole = tmp_path / "ranks", tmp_path / "one"
    ranks = [command(folder, stub, RANK=str(number), WORLD_SIZE="2") for number in (0, 1)]
    methods = ["pinv", "ddrm", "moment-matching"]
    table = grid(["inpaint:0.5", "superres:2"], [0.1], methods, ["own"], [2], (3, 32, 32))
    everything = units(table, settings(images))
    hers = [folder / "chunks" / unit.file for unit in everything[1::2]]
    deadline = time.monotonic() + 200
    while sum(path.exists() for path in hers) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    ranks[1].send_signal(signal.SIGKILL)
    said = [rank.communicate()[0] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, -signal.SIGKILL], said
    there = {p: p.stat().st_mtime_ns for p in (folder / "chunks").glob("*.json")}
    assert 9 + 2 <= len(there) < 18
    assert f"{18 - len(there)} of 18 chunks are not there yet" in said[0]
    assert not (folder / "images.csv").exists()

    for where in (folder, whole):  # one process goes on where two were, and one does all
        alone = command(where, stub)
        said = alone.communicate()[0]
        assert alone.returncode == 0, said
        if where == folder:
            assert f"{len(there)} of 18 chunks are there already" in said
    assert {p: p.stat().st_mtime_ns for p in there} == there
    assert {p.name for p in (folder / "chunks").glob("*.json")} == {u.file for u in everything}
    assert (folder / "images.csv").read_bytes() == (whole / "images.csv").read_bytes()
    assert len((whole / "images.csv").read_text().splitlines()) == 1 + 6 * 6


def test_torchrun_loses_a_rank_and_goes_on(tmp_path, images):
    """The command of the README: a rank dies within its third chunk, and torchrun ends the other;
    the same command again computes what is missing, with the bits of one process."""
    stub = tmp_path / "stub.py"
    stub.write_text(MORTAL)
    folder, whole = tmp_path / "ranks", tmp_path / "one"
    lost = command(folder, stub, TORCHRUN, DIES="1")
    said = lost.communicate()[0]
    assert lost.returncode, said
    assert "Signal 9 (SIGKILL)" in said
    there = {p: p.stat().st_mtime_ns for p in (folder / "chunks").glob("*.json")}
    assert 2 <= len(there) <= 9 + 2
    assert not (folder / "images.csv").exists()

    again = command(folder, stub, TORCHRUN)
    said = again.communicate()[0]
    assert again.returncode == 0, said
    assert {p: p.stat().st_mtime_ns for p in there} == there
    methods = ["pinv", "ddrm", "moment-matching"]
    table = grid(["inpaint:0.5", "superres:2"], [0.1], methods, ["own"], [2], (3, 32, 32))
    assert run(table, settings(images), shrink, images, whole, progress=False)
    assert len(list((folder / "chunks").glob("*.json"))) == 18
    assert (folder / "images.csv").read_text() == as_csv(image_rows(collected(whole)[1]))


def test_a_share_of_ranks_is_everything_once(images, tmp_path):
    everything = units(cells(), settings(images))
    assert len(everything) == len(set(everything)) == 2 * 3
    for world in (1, 2, 4, 7):
        shares = [everything[number::world] for number in range(world)]
        assert sorted(itertools.chain(*shares)) == sorted(everything)
        folder = tmp_path / str(world)
        for number in range(world):
            done = run(
                cells(), settings(images), shrink, images, folder,
                rank=Rank(number, world), progress=False,
            )  # fmt: skip
            assert done == (number >= min(world, len(everything)) - 1)
    texts = {as_csv(image_rows(collected(tmp_path / str(w))[1])) for w in (1, 2, 4, 7)}
    assert len(texts) == 1


def test_noise_belongs_to_the_image_and_not_to_its_chunk(images):
    """In chunks of 2 and of 3: the same measurements and draws, so the same scores to rounding."""
    cell = cells("ddrm")[0]
    by_two = [measured(Unit(cell, k), settings(images), shrink, images) for k in range(3)]
    by_three = [measured(Unit(cell, k), settings(images, chunk=3), shrink, images) for k in (0, 1)]
    for name in ("psnr", "energy", "coverage", "residual"):
        two = [value for part in by_two for value in part["scores"][name]]
        three = [value for part in by_three for value in part["scores"][name]]
        assert two == pytest.approx(three, rel=1e-5)
    states = {
        noise_of(seed, i, use).initial_seed()
        for seed in range(2)
        for i in range(5)
        for use in range(3)
    }
    assert len(states) == 30


def test_every_method_sees_the_same_measurement(images):
    """The residual of a restoration by nothing, at sigma_y = 0.1, is that of the noise."""
    op = operator_of("inpaint:0.5", (3, 32, 32))
    y = op(images[:2])
    z = torch.stack([torch.randn(y[0].shape, generator=noise_of(0, i, 0)) for i in (0, 1)])
    want = restore(
        shrink, op, y + 0.1 * z, sigma_y=0.1, steps=3,
        generator=[noise_of(0, i, 1) for i in (0, 1)],
    ).double()  # fmt: skip
    got = measured(Unit(cells("ddrm")[0], 0), settings(images, draws=1), shrink, images)
    error = (want - images[:2].double()).flatten(1).square().mean(1).sqrt()
    assert got["scores"]["energy"] == pytest.approx(error.tolist(), rel=1e-6)
    assert got["first"] == 0


def test_evaluations_and_products_are_counted_for_each_image_and_draw(images):
    for method, vjps in (("ddrm", 0), ("moment-matching", 1), ("pinv", 0)):
        cell = cells(method)[0]
        got = measured(Unit(cell, 0), settings(images), shrink, images)
        steps = 0 if method == "pinv" else 3
        assert (got["evaluations"], got["vjps"]) == (steps, steps * vjps)
    counted = Counted(shrink, 2)
    op = operator_of("superres:2", (3, 32, 32))
    y = op(images[:2])
    guided = MomentMatching(counted, op, y, sigma_y=0.1, cg_steps=3)
    guided(images[:2], 1.0)
    assert (counted.evaluations, counted.vjps) == (1, 3)


def test_half_of_the_images_is_half_an_evaluation(images):
    counted = Counted(shrink, 4)
    counted(images[:2].requires_grad_(), 1.0).sum().backward()
    images.requires_grad_(False)
    assert (counted.evaluations, counted.vjps) == (0.5, 0.5)


def test_seconds_are_the_processors_for_one_image_and_draw(images, monkeypatch):
    clock = iter([10.0, 22.0])
    monkeypatch.setattr(time, "process_time", lambda: next(clock))
    got = measured(Unit(cells("ddrm")[0], 1), settings(images), shrink, images)
    assert got["seconds"] == 12 / 2 / 2
    assert (got["first"], got["chunk"], len(got["scores"]["psnr"])) == (2, 1, 2)


def test_the_last_chunk_may_be_short_and_one_image_is_a_chunk(images):
    few = settings(images, count=5)
    assert [unit.chunk for unit in units(cells("pinv"), few)] == [0, 1, 2]
    assert units(cells("pinv"), few)[2].file.endswith(".0002.json")
    assert len(measured(Unit(cells("pinv")[0], 2), few, shrink, images[:5])["scores"]["psnr"]) == 1
    one = settings_of("natural", images, "stub", "0" * 64, chunk=1, draws=1, seed=0)
    assert len(units(cells("pinv"), one)) == 6
    assert (len(one.model_sha256), len(one.images_sha256)) == (16, 16)
    for chunk, draws in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="--chunk and --draws must be positive"):
            settings_of("natural", images, "stub", "0", chunk=chunk, draws=draws, seed=0)


def test_another_setting_is_refused_and_more_cells_are_added(images, tmp_path):
    run(cells("pinv"), settings(images), shrink, images, tmp_path, progress=False)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "chunks").iterdir()}
    for changed in ({"seed": 1}, {"images_sha256": "f"}, {"draws": 3}, {"versions": "torch 1"}):
        (name,) = changed
        with pytest.raises(ValueError, match=f"other settings, and nothing is overwritten: {name}"):
            run(cells(), settings(images, **changed), shrink, images, tmp_path, progress=False)
    run(cells("pinv", "ddrm"), settings(images), shrink, images, tmp_path, progress=False)
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "chunks").iterdir()}
    assert before.items() < after.items()
    assert list(collected(tmp_path)[1]) == cells("pinv", "ddrm")


def test_a_folder_of_something_else_is_left_alone(images, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"holds thesis\.tex and no manifest\.json"):
        claim(tmp_path, settings(images))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_two_processes_that_begin_at_once_agree_on_one_manifest(images, tmp_path, monkeypatch):
    """The other one's manifest appears after this one has looked: it is read, not replaced."""
    mine, other = settings(images), settings(images, seed=7)
    exists = Path.exists

    def late(path, **options):
        if path.name == "manifest.json" and not exists(path):
            path.write_text(json.dumps(asdict(other)))
            return False
        return exists(path, **options)

    monkeypatch.setattr(Path, "exists", late)
    monkeypatch.setattr(Path, "iterdir", lambda path: iter(()))
    with pytest.raises(ValueError, match="seed is 0, was 7"):
        claim(tmp_path, mine)
    assert json.loads((tmp_path / "manifest.json").read_text())["seed"] == 7


def test_a_unit_that_is_not_whole_is_computed_again(images, tmp_path):
    run(cells("pinv"), settings(images), shrink, images, tmp_path, progress=False)
    unit = units(cells("pinv"), settings(images))[1]
    path = tmp_path / "chunks" / unit.file
    content = path.read_text()
    path.write_text(content[: len(content) // 2])
    assert stored(tmp_path, unit) is None
    assert collected(tmp_path)[1] == {}
    assert run(cells("pinv"), settings(images), shrink, images, tmp_path, progress=False)
    assert json.loads(path.read_text())["scores"] == json.loads(content)["scores"]


def test_a_write_that_fails_leaves_nothing(tmp_path):
    path = tmp_path / "a.json"
    write_whole(path, "first")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "\ud800")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.json", "first")]
    write_whole(path, "second", new=True)
    assert path.read_text() == "first"
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("environment", "want"),
    [
        ({}, Rank(0, 1)),
        ({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}, Rank(3, 4, 1)),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2", "SLURM_LOCALID": "1"}, Rank(1, 2, 1)),
        ({"RANK": "0", "WORLD_SIZE": "1", "SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, Rank(0, 1)),
    ],
)
def test_the_rank_is_that_of_torchrun_or_slurm(environment, want):
    assert Rank.from_environment(environment) == want


def test_half_a_rank_is_refused():
    with pytest.raises(ValueError, match="RANK and WORLD_SIZE belong together"):
        Rank.from_environment({"RANK": "1"})
    with pytest.raises(ValueError, match="RANK and WORLD_SIZE belong together"):
        Rank.from_environment({"WORLD_SIZE": "1"})
    for number in ("2", "-1"):
        with pytest.raises(ValueError, match="RANK must be below WORLD_SIZE"):
            Rank.from_environment({"RANK": number, "WORLD_SIZE": "2"})
    assert Rank.from_environment({"SLURM_PROCID": "1"}) == Rank(0, 1)


def test_names_of_cells_are_files_and_different():
    several = [
        Cell("inpaint:0.5", 0.1, "ddrm", ".85/1", 20),
        Cell("inpaint:0.5", 0.1, "ddrm", ".85-1", 20),
        Cell("../my H.py:make", 0.0, "pinv"),
    ]
    stems = [cell.stem for cell in several]
    assert len(set(stems)) == 3
    assert all("/" not in stem and not stem.startswith(".") for stem in stems)
