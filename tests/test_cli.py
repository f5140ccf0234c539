"""The command line, run in this process by click's own test runner."""

import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import ddrm_edu
from ddrm_edu import SuperResolution, cli, data
from ddrm_edu.checks.report import Finding
from ddrm_edu.cli import main

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


def test_a_file_that_appears_during_the_run_is_kept(tmp_path):
    (tmp_path / "a.png").write_bytes(b"mine")
    with pytest.raises(ValueError, match="exists already"):
        cli._write_new(tmp_path / "a.png", b"picture")
    assert contents(tmp_path) == {"a.png": b"mine"}


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    """A full disk: half of the file is written, then an error."""

    def half(self, content):
        with open(self, "wb") as file:
            file.write(content[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space"):
        cli._write_new(tmp_path / "a.png", b"picture")
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------ restore: kinds of pictures

# What Image.open may give; the files of the modes that no format stores are replaced by the image.
ACCEPTED = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"]
DEEP = ["I", "I;16", "I;16L", "I;16B", "I;16N", "F"]
NOT_UNDERSTOOD = ["LAB", "HSV", "La", "RGBa"]


def test_table_has_every_mode_of_pillow():
    assert {*Image.MODES} <= {*ACCEPTED, *DEEP, *NOT_UNDERSTOOD}


@pytest.mark.parametrize("mode", ACCEPTED)
def test_modes_of_8_bits_are_accepted(mode):
    image = Image.new(mode, (3, 2))
    if "A" in image.getbands():
        image.putalpha(255)
    assert cli._upright_8_bit(image, "a").convert("RGB").size == (3, 2)


@pytest.mark.parametrize("mode", DEEP)
def test_modes_of_more_than_8_bits_are_refused(mode):
    with pytest.raises(ValueError, match=rf"8 bits per value.*a\.png.*mode {mode}.*Save it as"):
        cli._upright_8_bit(Image.new(mode, (3, 2)), "a.png")


@pytest.mark.parametrize("mode", NOT_UNDERSTOOD)
def test_modes_that_are_not_understood_are_refused(mode):
    with pytest.raises(ValueError, match=rf"a\.png has Pillow's mode {mode}.*RGB PNG"):
        cli._upright_8_bit(Image.new(mode, (3, 2)), "a.png")


GREY = np.arange(0, 252, 3, dtype=np.uint8).reshape(7, 12)
COLOUR = np.stack([GREY, GREY.T.reshape(7, 12), 255 - GREY], -1)
OPAQUE = np.full_like(GREY, 255)
GOOD_FILES = {
    "grey.png": (Image.fromarray(GREY), GREY),
    "grey.bmp": (Image.fromarray(GREY), GREY),
    "grey.tiff": (Image.fromarray(GREY), GREY),
    "palette.gif": (Image.fromarray(GREY), GREY),
    "colour.png": (Image.fromarray(COLOUR), COLOUR),
    "colour.tiff": (Image.fromarray(COLOUR), COLOUR),
    "colour.webp": (Image.fromarray(COLOUR), COLOUR),
    "opaque.png": (Image.fromarray(np.dstack([COLOUR, OPAQUE])), COLOUR),
    "opaque-grey.png": (Image.fromarray(np.dstack([GREY, OPAQUE])), GREY),
    "bits.png": (Image.fromarray(GREY > 90), np.where(GREY > 90, 255, 0)),
    "cmyk.tiff": (
        Image.merge("CMYK", [*Image.fromarray(255 - COLOUR).split(), Image.fromarray(0 * GREY)]),
        COLOUR,
    ),
}


@pytest.mark.parametrize("name", GOOD_FILES)
def test_files_of_8_bits_are_read_value_for_value(tmp_path, name):
    """0 -> -1 and 255 -> 1; a grey file is the same grey in every channel."""
    image, want = GOOD_FILES[name]
    image.save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    want = np.broadcast_to(want[..., None], (*want.shape, 3)) if want.ndim == 2 else want
    got = cli._read(tmp_path / name, 3)[0].numpy()
    assert abs((got.transpose(1, 2, 0) + 1) * 127.5 - want).max() <= 1e-4


def png_16_bit(colours):
    """A PNG of 16 bits per value by hand, since Pillow writes none in colour."""
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[colours]
    rows = np.random.default_rng(0).integers(0, 2**16, (8, 8 * colours)).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 8, 8, 16, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(raw)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))
        for tag, data in chunks
    )


def tiff_16_bit(planar):
    """An uncompressed RGB TIFF of 16 bits per value; Pillow opens it as 8 bits, too."""
    pixels = np.random.default_rng(0).integers(0, 2**16, 8 * 8 * 3).astype("<u2").tobytes()
    bits = 8 + 2 + 10 * 12 + 4  # where BitsPerSample lies, then the strips' table, then pixels
    strips, at = 3 if planar else 1, bits + 6 + 24
    size = len(pixels) // strips
    table = struct.pack("<6I", *(at + size * k for k in range(3)), *[size] * 3)
    pointers = (bits + 6, bits + 18) if planar else (at, size)
    entries = [
        (256, 4, 1, 8),
        (257, 4, 1, 8),
        (258, 3, 3, bits),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, strips, pointers[0]),
        (277, 3, 1, 3),
        (278, 4, 1, 8),
        (279, 4, strips, pointers[1]),
        (284, 3, 1, 2 if planar else 1),
    ]
    head = b"II*\0" + struct.pack("<IH", 8, 10)
    ifd = b"".join(struct.pack("<HHII", *entry) for entry in entries) + b"\0" * 4
    return head + ifd + struct.pack("<3H", 16, 16, 16) + table + pixels


@pytest.fixture(params=["grey.png", "grey16.tiff", "float.tiff", "int.tiff", "16.png", "RGB.tiff"])
def deep(request, tmp_path):
    """Files of more than 8 bits per value; those in colour are opened by Pillow as RGB."""
    path = tmp_path / request.param
    numbers = np.linspace(0, 1, 64).reshape(8, 8)
    arrays = {
        "grey.png": (numbers * 65535).astype(np.uint16),
        "grey16.tiff": (numbers * 65535).astype(np.uint16),
        "float.tiff": numbers.astype(np.float32),
        "int.tiff": (numbers * 1e6).astype(np.int32),
    }
    if path.name in arrays:
        Image.fromarray(arrays[path.name]).save(path)
    else:
        path.write_bytes(png_16_bit(3) if path.suffix == ".png" else tiff_16_bit(False))
        with Image.open(path) as file:
            assert file.mode == "RGB"
    return path


def test_restore_refuses_pictures_and_masks_of_more_than_8_bits(deep, photograph, tmp_path):
    """F1: they were clipped to white or black without a word, and given a PSNR."""
    result = run("restore", deep, "--task", "denoise", "--size", 8)
    refused(result, "8 bits per value", deep.name, "Save it as an 8-bit PNG")
    result = run("restore", photograph, "--task", "inpaint", "--mask", deep)
    refused(result, "8 bits per value", deep.name)
    assert not list(tmp_path.glob("*-*"))


@pytest.mark.parametrize("colours", [1, 2, 3, 4])
def test_16_bit_png_of_every_colour_type_is_refused(tmp_path, colours):
    (tmp_path / "a.png").write_bytes(png_16_bit(colours))
    with pytest.raises(ValueError, match="8 bits per value"):
        cli._read(tmp_path / "a.png", 3)


def test_16_bit_tiff_in_planes_is_refused(tmp_path):
    (tmp_path / "a.tiff").write_bytes(tiff_16_bit(True))
    with pytest.raises(ValueError, match="8 bits per value"):
        cli._read(tmp_path / "a.tiff", 3)


def test_bmp_of_16_bits_per_pixel_has_less_than_8_per_value_and_is_accepted(tmp_path):
    """One pixel, 5, 6 and 5 bits per colour: white."""
    head = b"BM" + struct.pack("<IHHI", 70, 0, 0, 66)
    info = struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 16, 3, 4, 0, 0, 0, 0)
    masks = struct.pack("<3I", 0xF800, 0x7E0, 0x1F)
    (tmp_path / "a.bmp").write_bytes(head + info + masks + b"\xff\xff\0\0")
    assert cli._read(tmp_path / "a.bmp", 3).flatten().tolist() == [1, 1, 1]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_exif_entry_says(tmp_path, orientation, suffix):
    """What an EXIF reader shows: the stored rows and columns by the definition of the tag."""
    stored = np.kron(np.array([[10, 90, 170], [50, 130, 240]], np.uint8), np.ones((16, 16)))
    shown = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.T,
        6: stored[::-1].T,
        7: stored[::-1, ::-1].T,
        8: stored[:, ::-1].T,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(stored.astype(np.uint8)).save(path, exif=exif)
    got = (cli._read(path, 1)[0, 0].numpy() + 1) * 127.5
    assert got.shape == shown.shape
    assert abs(got - shown).max() <= 2  # JPEG, blocks of constant grey


TRANSPARENT = {
    "RGBA": Image.fromarray(np.dstack([COLOUR, 255 - (GREY == 9)]).astype(np.uint8)),
    "LA": Image.fromarray(np.dstack([GREY, OPAQUE - 1])),
    "L": Image.fromarray(GREY),
    "P": Image.fromarray(GREY).convert("P"),
}


@pytest.mark.parametrize("mode", TRANSPARENT)
def test_transparent_pixels_are_refused(tmp_path, mode):
    """In an alpha channel, or as one grey or one palette entry; only if a pixel has it."""
    options = {"transparency": 9} if mode in "LP" else {}
    TRANSPARENT[mode].save(tmp_path / "a.png", **options)
    with pytest.raises(ValueError, match=r"a\.png has transparent ones.*without alpha"):
        cli._read(tmp_path / "a.png", 3)
    if options:
        TRANSPARENT[mode].save(tmp_path / "b.png", transparency=10)  # GREY has multiples of 3 only
        assert cli._read(tmp_path / "b.png", 3).shape == (1, 3, 7, 12)


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
