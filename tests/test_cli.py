"""The command line, run in this process by click's own test runner."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from matplotlib.figure import Figure
from PIL import Image
from skimage.metrics import structural_similarity

import ddrm_edu
from ddrm_edu import SuperResolution, data, load_images, pictures
from ddrm_edu.checks.report import Finding
from ddrm_edu.cli import main
from ddrm_edu.pretrained import training
from ddrm_edu.pretrained.loading import WEIGHTS

FOUR_TASKS = ["denoise", "inpaint", "superres", "colorize"]
BROKEN = """
import torch
from ddrm_edu import Dense, SuperResolution

H = torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]])
matrix = H.numpy()
good = SuperResolution((1, 4, 6), 2)

def make():
    return Dense(H)

class Broken(Dense):
    def V(self, x): return super().Vt(x)
    def Vt(self, x): return super().V(x)

broken = Broken(H)

def differences(x):
    return x[..., 1:] - x[..., :-1]

def clipped(x):
    return x.clamp(-1, 1)
"""


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "cat.png"
    picture = data.load_images("natural", 64)[0].numpy()
    Image.fromarray(data.to_uint8(picture).transpose(1, 2, 0)).save(path)
    return path


@pytest.fixture
def operators(tmp_path):
    path = tmp_path / "my_operators.py"
    path.write_text(BROKEN)
    return path


@pytest.mark.parametrize("task", FOUR_TASKS)
def test_restore_writes_a_picture_and_prints_scores(photograph, task, tmp_path):
    out = tmp_path / "out.png"
    result = run("restore", photograph, "--task", task, "--steps", 3, "--out", out)
    assert result.exit_code == 0, result.output
    assert "PSNR" in result.output
    assert "|H x - y| / |y|" in result.output
    with Image.open(out) as written:
        assert min(written.size) > 100


def test_restore_keeps_what_was_measured(photograph):
    result = run("restore", photograph, "--task", "superres", "--steps", 4)
    residual = float(result.output.split("|y| = ")[1].split()[0])
    assert residual < 1e-5
    assert photograph.with_name("cat-superres.png").exists()


def test_restore_is_the_same_for_the_same_seed(photograph, tmp_path):
    options = ["--task", "inpaint", "--steps", 2]
    outputs = [
        run("restore", photograph, *options, "--seed", seed, "--out", tmp_path / name).output
        for seed, name in ((1, "a.png"), (1, "b.png"), (2, "c.png"))
    ]
    scores = [output.split("DDRM  ")[1].splitlines()[0] for output in outputs]
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.parametrize("task", ["denoise", "superres", "colorize"])
def test_restore_takes_a_picture_for_the_measurement(tmp_path, task):
    path, out = tmp_path / "small.png", tmp_path / "out.png"
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    result = run(
        "restore", path, "--task", task, "--measured", "--sigma-y", 0.1, "--steps", 2, "--out", out
    )
    assert result.exit_code == 0, result.output
    assert "PSNR" not in result.output
    assert out.exists()


def test_restore_inpaints_a_measured_picture_with_a_mask(tmp_path):
    rng = np.random.default_rng(0)
    for name, shape in (("picture", (16, 24, 3)), ("mask", (16, 24))):
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    options = ["--task", "inpaint", "--measured", "--steps", 2, "--out", tmp_path / "out.png"]
    result = run("restore", tmp_path / "picture.png", *options, "--mask", tmp_path / "mask.png")
    assert result.exit_code == 0, result.output
    result = run("restore", tmp_path / "picture.png", *options[:-1], tmp_path / "other.png")
    assert result.exit_code == 1
    assert "--mask" in result.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--eta", 1.5], "eta must lie in [0, 1]"),
        (["--sigma-y", -1], "at least 0"),
        (["--steps", 0], "steps must be an integer from 1"),
        (["--size", 60], "multiples of 8"),
        (["--size", 128], "larger than the picture"),
        (["--model", "nobody"], "no model 'nobody'"),
    ],
)
def test_bad_options_end_in_one_line_and_status_1(photograph, options, words):
    result = run("restore", photograph, "--task", "denoise", *options)
    assert result.exit_code == 1
    assert words in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert "Traceback" not in result.output


# --------------------------------------------------------------------- restore: files kept


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def refused(result, *words):
    """One sentence, status 1, and no network has run (that would print its progress)."""
    __tracebackhide__ = True
    assert result.exit_code == 1, result.output
    assert len(result.output.strip().splitlines()) == 1, result.output
    for word in words:
        assert word in result.output


@pytest.fixture
def no_network(monkeypatch):
    """The refusal comes first: nothing is even loaded."""

    def load(*arguments, **options):
        raise AssertionError("the network was loaded")

    monkeypatch.setattr(ddrm_edu, "load_denoiser", load)


@pytest.mark.parametrize("name", ["cat.png", "", "mine.txt", "nowhere.png"])
def test_restore_never_overwrites_a_file(photograph, tmp_path, name, no_network):
    """The input, the default name, a file given by --out, a link that leads nowhere."""
    (tmp_path / "cat-denoise.png").write_bytes(b"mine")
    (tmp_path / "mine.txt").write_bytes(b"mine")
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "absent.png")
    before = contents(tmp_path)
    options = ["--out", tmp_path / name] if name else []
    result = run("restore", photograph, "--task", "denoise", *options)
    refused(result, "exists already", "another name with --out")
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nodir/x.png", ("there is no folder", "nodir", "Make it first")),
        ("cat.xyz", ("ends in one of", "png", "cat.xyz")),
    ],
)
def test_restore_refuses_a_name_that_cannot_be_written(
    photograph, tmp_path, name, words, no_network
):
    refused(run("restore", photograph, "--task", "denoise", "--out", tmp_path / name), *words)


def test_restore_refuses_a_folder_that_it_may_not_write_to(photograph, monkeypatch, no_network):
    monkeypatch.setattr("os.access", lambda path, way: way != os.W_OK)
    refused(run("restore", photograph, "--task", "denoise"), "may write to", "another --out")


@pytest.mark.parametrize(("name", "kind"), [("noext", "PNG"), ("x.JPG", "JPEG")])
def test_restore_writes_exactly_the_named_file(photograph, tmp_path, name, kind):
    out = tmp_path / "out" / name
    out.parent.mkdir()
    result = run("restore", photograph, "--task", "denoise", "--steps", 1, "--out", out)
    assert result.output.strip().endswith(f"wrote {out}")
    assert [path.name for path in out.parent.iterdir()] == [name]
    with Image.open(out) as written:
        assert written.format == kind


def test_restore_refuses_pictures_and_masks_of_more_than_8_bits(photograph, tmp_path):
    """F1: they were clipped to white or black without a word, and given a PSNR."""
    deep = tmp_path / "deep.png"
    Image.fromarray(np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)).save(deep)
    result = run("restore", deep, "--task", "denoise", "--size", 8)
    refused(result, "8 bits per value", deep.name, "Save it as an 8-bit PNG")
    result = run("restore", photograph, "--task", "inpaint", "--mask", deep)
    refused(result, "8 bits per value", deep.name)
    assert not list(tmp_path.glob("*-*"))


# ------------------------------------------------- restore: what the library is given, and told


class Library:
    """In the place of a network and of the library's ``restore``: writes down, answers with x."""

    x = 0.3 * torch.randn(1, 3, 32, 48, generator=torch.Generator().manual_seed(8))

    def load_denoiser(self, name, *, device):
        self.model, self.device = name, device
        return SimpleNamespace(net=SimpleNamespace(in_channels={"natural": 3, "fashion": 1}[name]))

    def restore(self, denoiser, op, y, **options):
        self.op, self.y, self.options = op, y.clone(), options
        self.state = options.pop("generator").get_state()
        channels, height, width = op.in_shape
        self.x = self.x[:, :channels, :height, :width]
        return self.x

    def restoration_grid(self, columns, rows, captions):
        self.columns, self.rows, self.captions = columns, rows, captions
        return Figure()


@pytest.fixture
def library(monkeypatch):
    spy = Library()
    for module, name in [
        (ddrm_edu, "load_denoiser"),
        (ddrm_edu, "restore"),
        (pictures, "restoration_grid"),
    ]:
        monkeypatch.setattr(module, name, getattr(spy, name))
    return spy


@pytest.fixture
def wide(tmp_path):
    """A colour picture of 40 x 51 pixels, and its centre square at 32 x 32."""
    whole = data.to_uint8(load_images("natural", 64)[0].numpy()).transpose(1, 2, 0)[:40, 3:54]
    Image.fromarray(whole).save(tmp_path / "wide.png")
    square = Image.fromarray(whole[:, 5:45]).resize((32, 32), Image.Resampling.LANCZOS)
    return tmp_path / "wide.png", np.asarray(square).transpose(2, 0, 1) / 127.5 - 1


def by_hand(task, kept):
    """H and its pseudo-inverse of one image (c, h, w), by numpy."""

    def spread(y):
        x = np.zeros((3, *kept.shape))
        x[:, kept] = y.reshape(3, -1)
        return x

    return {
        "denoise": (lambda x: x, lambda y: y),
        "inpaint": (lambda x: x[:, kept].flatten(), spread),
        "superres": (
            lambda x: x.reshape(len(x), 8, 4, 8, 4).mean((2, 4)),
            lambda y: y.repeat(4, 1).repeat(4, 2),
        ),
        "colorize": (lambda x: x.mean(0, keepdims=True), lambda y: y.repeat(3, 0)),
    }[task]


def scores(x, truth):
    loss = 10 * np.log10(4 / ((x - truth) ** 2).mean())
    alike = structural_similarity(
        truth,
        x,
        data_range=2,
        channel_axis=0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    return f"PSNR {loss:.2f} dB  SSIM {alike:.3f}"


@pytest.mark.parametrize("noise", [None, 0.07])
@pytest.mark.parametrize("task", FOUR_TASKS)
def test_restore_measures_and_scores_as_the_formulas_say(wide, library, tmp_path, task, noise):
    """y = H x + sigma_y z, seed, options, all that is printed and drawn: by numpy."""
    path, truth = wide
    options = ["--seed", 5, "--factor", 4, "--missing", 0.3, "--steps", 7, "--eta", 0.4]
    options += ["--eta-b", 0.6, "--device", "cpu", "--out", tmp_path / "out.png"]
    options += [] if noise is None else ["--sigma-y", noise]
    result = run("restore", path, "--task", task, *options)
    assert result.exit_code == 0, result.output

    sigma_y = noise if noise is not None else 0.25 if task == "denoise" else 0
    generator = torch.Generator().manual_seed(5)
    kept = np.ones((32, 32), bool)
    if task == "inpaint":  # drawn before the noise
        kept = torch.rand(32, 32, generator=generator, dtype=torch.float64).numpy() >= 0.3
    H, pinv = by_hand(task, kept)
    z = torch.randn(1, *H(truth).shape, generator=generator, dtype=torch.float32)
    y = H(truth) + sigma_y * z[0].numpy()
    assert (library.model, library.device) == ("natural", "cpu")
    assert np.abs(library.y[0].numpy() - y).max() <= 1e-6
    assert library.options == {
        "sigma_y": sigma_y,
        "steps": 7,
        "eta": 0.4,
        "eta_b": 0.6,
        "progress": True,
    }
    assert torch.equal(library.state, generator.get_state())

    x = library.x[0].double().numpy()
    residual = np.linalg.norm(H(x) - y) / np.linalg.norm(y)
    assert result.stdout == (
        f"pseudo-inverse  {scores(pinv(y), truth)}\nDDRM            {scores(x, truth)}\n"
        f"|H x - y| / |y| = {residual:.1e}  (noise in y: sigma_y = {sigma_y:g})\n"
        f"wrote {tmp_path / 'out.png'}\n"
    )

    seen = np.where(kept, pinv(y), np.nan) if task == "inpaint" else y
    drawn = {"truth": truth, "measurement": seen, "DDRM": x}
    assert list(library.columns) == list(drawn)
    for name, (image,) in library.columns.items():
        np.testing.assert_allclose(image.numpy(), drawn[name], rtol=0, atol=1e-6)
    assert library.rows == [task]
    assert library.captions == {"DDRM": [scores(x, truth).replace("  ", "\n")]}


def test_restore_loads_the_model_that_is_named_and_shows_it_its_channels(wide, library):
    """Grey by the weights of Pillow's L (ITU-R 601), in the mode of the network."""
    path, _ = wide
    assert run("restore", path, "--task", "denoise", "--model", "fashion").exit_code == 0
    square = Image.open(path).convert("L").crop((5, 0, 45, 40))
    grey = np.asarray(square.resize((32, 32), Image.Resampling.LANCZOS)) / 127.5 - 1
    assert library.model == "fashion"
    np.testing.assert_allclose(library.columns["truth"][0][0].numpy(), grey, rtol=0, atol=1e-6)


@pytest.fixture
def measured(tmp_path):
    """A picture of 16 x 24 pixels and a mask of it, both files and arrays."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (16, 24, 3), dtype=np.uint8)
    white = rng.random((16, 24)) < 0.6
    Image.fromarray(colours).save(tmp_path / "y.png")
    Image.fromarray(white).save(tmp_path / "mask.png")
    return tmp_path, colours.transpose(2, 0, 1) / 127.5 - 1, white


@pytest.mark.parametrize("task", FOUR_TASKS)
def test_a_measured_picture_is_y_itself(measured, library, task):
    folder, y, white = measured
    options = ["--measured", "--sigma-y", 0.1, "--mask", folder / "mask.png"]
    result = run("restore", folder / "y.png", "--task", task, *options)
    assert result.exit_code == 0, result.output
    if task == "inpaint":
        y = y[:, white].flatten()
    if task == "colorize":
        y = np.asarray(Image.open(folder / "y.png").convert("L"))[None] / 127.5 - 1
    assert library.op.in_shape == ((3, 32, 48) if task == "superres" else (3, 16, 24))
    np.testing.assert_allclose(library.y[0].numpy(), y, rtol=0, atol=1e-6)
    residual = (library.op(library.x) - library.y).norm() / library.y.norm()
    assert result.stdout == (
        f"|H x - y| / |y| = {residual:.1e}  (noise in y: sigma_y = 0.1)\n"
        f"wrote {folder / f'y-{task}.png'}\n"
    )
    assert list(library.columns) == ["measurement", "DDRM"]
    assert library.captions == {}


def test_a_mask_is_white_where_it_was_measured_and_has_the_size_of_the_image(measured, library):
    folder, y, white = measured
    options = ["--task", "inpaint", "--mask", folder / "mask.png"]
    Image.fromarray(white[:, :16]).save(folder / "square.png")
    result = run("restore", folder / "y.png", *options, "--size", 16)
    refused(result, "The mask is (16, 24) pixels, but the image (16, 16)")
    options[-1] = folder / "square.png"
    assert run("restore", folder / "y.png", *options, "--size", 16).exit_code == 0
    want = y[:, :, 4:20][:, white[:, :16]].flatten()
    np.testing.assert_allclose(library.y[0].numpy(), want, rtol=0, atol=1e-6)


@pytest.mark.parametrize("missing", [-0.1, 1])
def test_a_share_of_lost_pixels_leaves_some(wide, library, missing):
    result = run("restore", wide[0], "--task", "inpaint", "--missing", missing)
    refused(result, f"--missing must lie in [0, 1), but was {missing}")


def test_train_hands_on_every_option(monkeypatch, tmp_path):
    asked = {}

    def train(name, run, **options):
        asked.update(name=name, run=run, **options)
        return tmp_path / "fashion.safetensors"

    monkeypatch.setattr(training, "train", train)
    options = ["--images", 99, "--batch", 3, "--learning-rate", 0.2, "--widths", "8,16"]
    options += ["--blocks", 1, "--seed", 4, "--device", "cuda", "--enlarged", 0.5]
    result = run("train", "fashion", "--run", tmp_path, *options)
    assert result.exit_code == 0, result.output
    assert asked == {
        "name": "fashion",
        "run": tmp_path,
        "total_images": 99,
        "batch": 3,
        "learning_rate": 0.2,
        "widths": (8, 16),
        "blocks": 1,
        "seed": 4,
        "enlarged": 0.5,
        "start": None,
        "device": "cuda",
    }
    assert f"folder={str(tmp_path)!r}" in result.output


@pytest.mark.parametrize("source", ["natural", WEIGHTS / "natural.safetensors"], ids=type)
def test_train_goes_on_from_a_model_or_a_file(monkeypatch, tmp_path, source):
    asked = {}

    def train(name, run, **options):
        asked.update(options)
        return tmp_path / "natural.safetensors"

    monkeypatch.setattr(training, "train", train)
    result = run("train", "natural", "--run", tmp_path, "--from", source)
    assert result.exit_code == 0, result.output
    assert asked["start"].card == ddrm_edu.load_denoiser("natural").card


@pytest.mark.parametrize("source", ["naturel", "naturel.safetensors"])
def test_train_from_weights_that_are_not_there_is_refused(tmp_path, source):
    result = run("train", "natural", "--run", tmp_path, "--from", source)
    refused(result, "There is no model 'naturel' in")


def test_python_runs_the_package_as_the_command_line():
    command = [sys.executable, "-m", "ddrm_edu", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told.startswith("Usage: python -m ddrm_edu [OPTIONS] COMMAND")


@pytest.mark.parametrize("name", ["good", "make", "matrix"])
def test_check_accepts_operators_functions_and_matrices(operators, name):
    result = run("check", f"{operators}:{name}")
    assert result.exit_code == 0, result.output
    assert "FAILED" not in result.output


def test_check_fails_for_a_broken_operator(operators):
    result = run("check", f"{operators}:broken", "--truth", "H")
    assert result.exit_code == 1
    assert "FAILED  U diag(s) V^T = H" in result.output
    assert "V and Vt are exchanged" in result.output


def test_check_takes_a_function_with_a_shape_and_a_noise(operators):
    result = run("check", f"{operators}:differences", "--in-shape", "1,4,6", "--sigma-y", 100)
    assert result.exit_code == 0, result.output
    assert "Operator Dense((1, 4, 6) -> (1, 4, 5), rank 20)" in result.output
    assert "note    every measured coordinate starts at y_spec" in result.output
    result = run("check", f"{operators}:differences")
    assert result.exit_code == 1
    assert "in_shape=" in result.output


def test_check_does_not_call_an_h_good_that_it_could_not_examine(operators):
    result = run("check", f"{operators}:differences", "--in-shape", "3,256,256")
    assert result.exit_code == 2
    assert result.output.strip().endswith("see the reasons above.")
    assert "NOT EXAMINED" in result.output


def test_check_reports_what_ddrm_does_with_h(operators):
    result = run("check", f"{operators}:good")
    for title in ("Assumptions", "Marginals", "Sampler", "Recovery"):
        assert f"\n{title}\n" in result.output


@pytest.mark.parametrize("target", ["nowhere.py:op", "nothing", "{path}:missing"])
def test_check_says_what_it_expected(operators, target):
    result = run("check", target.format(path=operators))
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert len(result.output.strip().splitlines()) == 1


# -- check --json ----------------------------------------------------------------------------------


def checked(path, name, *options):
    """Exit status and JSON of a check, and the text that it prints otherwise."""
    human, machine = (run("check", f"{path}:{name}", *options, *how) for how in ([], ["--json"]))
    assert machine.exit_code == human.exit_code
    return machine.exit_code, json.loads(machine.stdout, parse_constant=pytest.fail), human.output


@pytest.mark.parametrize(
    ("name", "options", "status"),
    [
        ("good", [], 0),
        ("differences", ["--in-shape", "1,4,6", "--sigma-y", 100], 0),
        ("broken", ["--truth", "H"], 1),
        ("clipped", ["--in-shape", "5"], 1),
        ("differences", ["--in-shape", "3,256,256"], 2),
    ],
)
def test_check_prints_the_same_findings_for_machines(operators, name, options, status):
    """Each line of the text is that of a finding of the JSON, and the other way round."""
    code, reports, text = checked(operators, name, *options)
    assert code == status
    assert (reports["ok"], reports["examined"]) == (status != 1, name == "broken" or status == 0)
    findings = [finding for report in reports["reports"] for finding in report["findings"]]
    lines = [str(Finding(**finding | {"error": finding["error"] or 0.0})) for finding in findings]
    assert [line for line in text.splitlines() if line.startswith("  ")] == [
        f"  {line}" for line in lines
    ]


def test_causes_and_fixes_stand_apart_in_the_json(operators):
    _, reports, _ = checked(operators, "broken", "--truth", "H")
    broken = [finding for finding in reports["reports"][0]["findings"] if finding["cause"]]
    assert [finding["name"] for finding in broken] == ["U diag(s) V^T = H"]
    assert broken[0]["status"] == "broken"
    assert broken[0]["cause"] == "V and Vt are exchanged."
    assert broken[0]["fix"].startswith("torch.linalg.svd and numpy.linalg.svd return Vh")


def test_what_the_file_prints_does_not_disturb_the_json(tmp_path):
    (tmp_path / "loud.py").write_text("print('hello')\ndef H(x):\n    print('H')\n    return x")
    result = run("check", f"{tmp_path / 'loud.py'}:H", "--in-shape", "3", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["ok"]
    assert "hello" in result.stderr


def test_without_an_h_there_is_no_json(tmp_path):
    (tmp_path / "gone.py").write_text("import sys\ndef H():\n    sys.exit(0)")
    result = run("check", f"{tmp_path / 'gone.py'}:H", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: H() raised SystemExit: 0.\n"


def test_a_students_h_is_examined_once(tmp_path):
    """Black images are shown by one claim of linearity only; the rest compares and decomposes."""
    (tmp_path / "my_h.py").write_text(
        "def H(x):\n"
        "    with open(__file__ + '.calls', 'a') as calls:\n"
        "        calls.write('black\\n' if (x == 0).all() else 'other\\n')\n"
        "    return x[..., 1:] - x[..., :-1]\n"
    )
    result = run("check", f"{tmp_path / 'my_h.py'}:H", "--in-shape", "1,8,8")
    assert result.exit_code == 0, result.output
    calls = (tmp_path / "my_h.py.calls").read_text().split()
    assert calls.count("black") == 1
    assert len(calls) <= 15


def test_operator_named_in_the_report_is_the_one_that_was_checked(operators):
    result = run("check", f"{operators}:good")
    assert repr(SuperResolution((1, 4, 6), 2)) in result.output
