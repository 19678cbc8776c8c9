"""The command line: what it writes and prints, and how it says no."""

import json
import os
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from small_bank import DOMAINS, make_bank, make_model
from typer.testing import CliRunner

import streamsep
from streamsep.audio import files
from streamsep.cli.main import app

COMMANDS = sorted(typer.main.get_command(app).commands)
SUMMARY_KEYS = {
    "input", "rate", "channels", "seconds", "domain", "sources", "gains_db", "latency", "times_real_time",
    "levels_db", "counters", "models", "spans", "files",
}  # fmt: skip


@pytest.fixture(scope="session")
def bank(tmp_path_factory):
    folder = make_bank(tmp_path_factory.mktemp("cli") / "bank")
    return ["--set", f"models.bank={folder}", "--set", "models.precision=fp32", "--set", "domain=noise"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def refused(*arguments):
    """The one line on stderr with which a command refuses."""
    done = run(*arguments)
    assert done.exit_code == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("streamsep: ")
    return line


def tones(samples, channels, rate, seed=0):
    """A few sines below 4 kHz, other ones in each channel: (samples, channels), within half of full scale."""
    random = np.random.default_rng(seed)
    pitch_hz = random.uniform(100, min(4000, 0.4 * rate), (5, 1, channels))
    phase = random.uniform(0, 2 * np.pi, (5, 1, channels))
    waves = np.sin(2 * np.pi * pitch_hz * np.arange(samples)[None, :, None] / rate + phase)
    return (0.1 * waves.sum(axis=0)).astype(np.float32)


# ------------------------------------------------------------------------------------------------------- separate


@settings(max_examples=12, deadline=None)
@given(
    domain=st.sampled_from(sorted(DOMAINS)),
    samples=st.integers(1, 12_000),
    channels=st.integers(1, 3),
    rate=st.sampled_from([8000, 16_000, 22_050, 44_100, 48_000]),
)
def test_every_output_has_the_shape_of_the_input_and_the_summary_tells_the_truth(
    tmp_path_factory, bank, domain, samples, channels, rate
):
    folder = tmp_path_factory.mktemp("any")
    sound, out = folder / "in.wav", folder / "out"
    files.write(sound, tones(samples, channels, rate), rate)
    done = run("separate", sound, "-o", out, "--domain", domain, "--json", *bank)
    assert done.exit_code == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary == json.loads((out / "summary.json").read_text())
    assert set(summary) == SUMMARY_KEYS
    assert (summary["rate"], summary["channels"], summary["seconds"]) == (rate, channels, samples / rate)
    assert (summary["domain"], summary["input"]) == (domain, str(sound))
    assert summary["files"] == ["listen.wav", *(f"{name}.wav" for name in summary["sources"]), "summary.json"]
    assert sorted(path.name for path in out.iterdir()) == sorted(summary["files"])
    for name in summary["files"][:-1]:
        heard, heard_rate = files.read(out / name)
        assert (heard.shape, heard_rate) == ((samples, channels), rate)
        assert sf.info(out / name).subtype == "FLOAT"
    assert summary["latency"]["samples"] == round(sum(summary["latency"]["terms"].values()))
    assert set(summary["levels_db"]) == {"input", "listen", *summary["sources"]}


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_sources_add_up_to_the_input_where_it_was(bank, rate, channels):
    sound = tones(rate, channels, rate)
    files.write("in.wav", sound, rate)
    assert run("separate", "in.wav", "-o", "out", *bank).exit_code == 0
    total = files.read("out/speech.wav")[0] + files.read("out/noise.wav")[0]
    inner = slice(rate // 10, -rate // 10)  # the ends of a resampled sound ring
    assert np.abs(total - sound)[inner].max() < 2e-3


def test_with_all_gains_equal_the_listener_hears_the_input_where_it_was(bank):
    sound = tones(16_000, 2, 16_000)
    files.write("in.wav", sound, 16_000)
    assert run("separate", "in.wav", "-o", "out", *bank, "--set", "gains_db.noise=0").exit_code == 0
    assert np.allclose(files.read("out/listen.wav")[0], sound, atol=1e-5)


def test_a_source_turned_down_is_not_heard(bank):
    files.write("in.wav", tones(16_000, 1, 16_000), 16_000)
    done = run("separate", "in.wav", "--json", *bank, "--set", "gains_db.noise=-120")
    assert json.loads(done.stdout)["gains_db"] == {"speech": 0, "noise": -120}
    heard, alone = (files.read(f"in-separated/{name}.wav")[0] for name in ("listen", "speech"))
    assert np.allclose(heard, alone, atol=1e-4)


def test_repeated_roles_are_numbered(bank):
    files.write("in.wav", tones(4000, 1, 16_000), 16_000)
    done = run("separate", "in.wav", "--domain", "talkers", "--json", *bank, "--set", "gains_db.talker-2=-15")
    summary = json.loads(done.stdout)
    assert summary["files"] == ["listen.wav", "talker-1.wav", "talker-2.wav", "summary.json"]
    assert summary["gains_db"] == {"talker-1": 0, "talker-2": -15}


def test_silence_has_a_level_that_json_can_hold(bank):
    files.write("in.wav", np.zeros((4000, 1), np.float32), 16_000)
    done = run("separate", "in.wav", "--json", *bank)
    assert set(json.loads(done.stdout)["levels_db"].values()) == {None}


def test_people_are_told_that_the_files_are_aligned(bank):
    files.write("in.wav", tones(4000, 1, 16_000), 16_000)
    done = run("separate", "in.wav", *bank)
    said = " ".join(done.stdout.split())
    assert "The files are aligned with the input: the latency of 128 samples (8 ms) is taken out." in said
    assert Path("in-separated/listen.wav").is_file()


def test_flac_and_ogg_are_separated_like_wav(bank):
    for name in ("in.flac", "in.ogg"):
        sf.write(name, tones(8000, 2, 16_000), 16_000)
        assert run("separate", name, *bank).exit_code == 0


# ----------------------------------------------------------------------------------------------- what is no sound


def spoilt(what):
    """A file that is no sound, in one of several ways."""
    path, sound = Path("in.wav"), tones(100, 2, 16_000)
    if what == "folder":
        path.mkdir()
    elif what == "empty":
        path.touch()
    elif what == "text":
        path.write_text("not sound\n")
    elif what == "zero-length":
        sf.write(path, np.zeros((0, 1)), 16_000)
    elif what in ("nan", "infinite"):
        sound[7, 1] = np.nan if what == "nan" else np.inf
        files.write(path, sound, 16_000)
    return path


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("missing", "no such file"),
        ("folder", "found a folder"),
        ("empty", "the file is empty"),
        ("text", "not a sound file"),
        ("zero-length", r"no sound in it \(0 samples\)"),
        ("nan", "1 of 200 samples are not finite .* sample 7 .* channel 2"),
        ("infinite", "1 of 200 samples are not finite .* sample 7 .* channel 2"),
    ],
)
def test_what_is_no_sound_is_refused_in_one_line_and_nothing_is_written(bank, what, said):
    path = spoilt(what)
    before = sorted(Path().rglob("*"))
    line = refused("separate", path, *bank)
    assert line.startswith("streamsep: in.wav: ")
    assert re.search(said, line)
    assert sorted(Path().rglob("*")) == before


def test_a_file_where_the_folder_should_be_is_left_alone(bank):
    files.write("in.wav", tones(100, 1, 16_000), 16_000)
    Path("out").write_text("mine")
    assert "there is a file of this name" in refused("separate", "in.wav", "-o", "out", *bank)
    assert "out is a file" in refused("separate", "in.wav", "-o", "out/further/in", *bank)
    assert Path("out").read_text() == "mine"


def test_the_input_is_never_overwritten(bank):
    sound = tones(4000, 1, 16_000)
    files.write("listen.wav", sound, 16_000)
    assert "would be overwritten" in refused("separate", "listen.wav", "-o", ".", *bank)
    assert np.array_equal(files.read("listen.wav")[0], sound)
    assert list(Path().iterdir()) == [Path("listen.wav")]


def test_a_write_that_fails_half_way_leaves_the_old_results_whole(bank, monkeypatch):
    files.write("in.wav", tones(4000, 1, 16_000), 16_000)
    run("separate", "in.wav", "-o", "out", *bank)
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    write = files.write

    def fail_at_the_second(path, samples, rate):
        if Path(path).name == "speech.wav":
            raise OSError(28, "No space left on device")
        write(path, samples, rate)

    monkeypatch.setattr(files, "write", fail_at_the_second)
    line = refused("separate", "in.wav", "-o", "out", *bank, "--set", "gains_db.noise=-40")
    assert "out: cannot be written into: No space left on device" in line
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before


# ------------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("fade_mss=3", "fade_mss: unknown key, did you mean fade_ms"),
        ("limiter.lookahead_ms=3", "limiter.lookahead_ms: unknown key, did you mean limiter.look_ahead_ms"),
        ("fade_ms=-3", "fade_ms: .*greater than or equal to 20"),
        ("fade_ms", "expected KEY=VALUE"),
        ("rate=8000", "rate: unknown key"),
        ("gains_db.noises=3", "no source is called 'noises'"),
        ("domain=weather", "unknown domain 'weather'; this bank has .*music.*noise"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_what_would_be_right(bank, change, said):
    files.write("in.wav", tones(100, 1, 16_000), 16_000)
    assert re.search(said, refused("separate", "in.wav", *bank, "--set", change))


def test_a_key_misspelt_in_yaml_is_named_with_its_file_and_the_nearest_one(bank):
    files.write("in.wav", tones(100, 1, 16_000), 16_000)
    Path("mine.yaml").write_text("limiter:\n  cieling_db: -3\n")
    line = refused("separate", "in.wav", "--config", "mine.yaml", *bank)
    assert "mine.yaml: limiter.cieling_db: unknown key, did you mean limiter.ceiling_db" in line


def test_a_configuration_that_is_not_there_is_refused_with_those_that_are(bank):
    files.write("in.wav", tones(100, 1, 16_000), 16_000)
    assert re.search(
        "nowhere: no such configuration; .*'default'", refused("separate", "in.wav", "--config", "nowhere")
    )


def test_an_unknown_domain_is_refused_with_those_there_are(bank):
    files.write("in.wav", tones(100, 1, 16_000), 16_000)
    line = refused("separate", "in.wav", "--domain", "weather", *bank)
    assert "'weather'" in line
    assert all(domain in line for domain in DOMAINS)


def test_the_command_line_overrules_the_file_which_overrules_the_default(bank):
    files.write("in.wav", tones(4000, 1, 16_000), 16_000)
    Path("mine.yaml").write_text("domain: music\ngains_db:\n  vocals: -1\n  accompaniment: -2\n")
    done = run("separate", "in.wav", "--config", "mine.yaml", "--set", "gains_db.vocals=-5", "--json", *bank[:-2])
    summary = json.loads(done.stdout)
    assert (summary["domain"], summary["gains_db"]) == ("music", {"vocals": -5, "accompaniment": -2})


# --------------------------------------------------------------------------------------------------------- models


def test_models_lists_every_domain_with_its_latency_term_by_term(bank):
    entries = json.loads(run("models", "--json", *bank).stdout)
    assert {entry["domain"]: tuple(entry["sources"]) for entry in entries} == DOMAINS
    for entry in entries:
        content = Path(entry["file"]).read_bytes()
        assert (entry["bytes"], entry["sha256"]) == (len(content), sha256(content).hexdigest())
        assert entry["checksum"] == "not listed"
        latency = entry["latency"]
        assert (latency["rate"], latency["samples"], latency["ms"]) == (16_000, 128, 8.0)
        assert sum(latency["terms"].values()) == 128
    said = run("models", *bank).stdout
    assert all(domain in said for domain in DOMAINS)
    assert "gathering a hop" in said


def test_a_model_is_compared_with_its_listed_checksum(tmp_path):
    folder = make_bank(tmp_path / "bank")
    names = sorted(path.name for path in folder.iterdir())
    digests = [sha256((folder / name).read_bytes()).hexdigest() for name in names]
    (folder / "SHA256SUMS").write_text(f"{digests[0]}  {names[0]}\n{digests[0]} *{names[1]}\n")
    done = run("models", "--json", "--set", f"models.bank={folder}", "--set", "models.precision=fp32")
    assert [entry["checksum"] for entry in json.loads(done.stdout)] == ["ok", "WRONG", "not listed"]


def test_a_bank_of_models_that_are_none_is_refused(tmp_path):
    folder = make_bank(tmp_path / "bank")
    chosen = ["--set", f"models.bank={folder}", "--set", "models.precision=fp32", "--set", "domain=noise"]
    (folder / "rain-step-fp32.onnx").write_text("rain")
    assert "rain-step-fp32.onnx: not a model that ONNX Runtime can open" in refused("models", *chosen)
    make_model(folder / "rain-step-fp32.onnx", "rain", ("rain", "rest"), hop=32)
    assert re.search(r"hop: .* has 64, rain-step-fp32.onnx has 32", refused("models", *chosen))
    assert "no such folder of models" in refused("models", "--set", "models.bank=nowhere")


def test_the_shipped_models_are_whole():
    for precision in ("int8", "fp32"):
        entries = json.loads(run("models", "--json", "--set", f"models.precision={precision}").stdout)
        assert {"music", "noise"} <= {entry["domain"] for entry in entries}
        assert {(entry["checksum"], entry["precision"]) for entry in entries} == {("ok", precision)}


# ---------------------------------------------------------------------------------------------------------- check


def test_a_model_that_keeps_the_laws_passes_its_check(tmp_path):
    model = make_model(tmp_path / "mine.onnx", "rain", ("rain", "rest"))
    done = run("check", model, "--json")
    assert done.exit_code == 0, done.stdout
    report = json.loads(done.stdout)
    assert (report["model"], report["passed"]) == (str(model), True)
    assert len(report["laws"]) > 3
    assert all(law["passed"] and law["name"] and law["detail"] for law in report["laws"])


def test_a_model_whose_sources_do_not_add_up_fails_its_check(tmp_path):
    model = make_model(tmp_path / "mine.onnx", "rain", ("rain", "rest"), lossy=True)
    done = run("check", model)
    assert done.exit_code == 1
    assert "FAIL" in done.stdout
    assert "pass" in done.stdout


def test_a_file_that_is_no_model_cannot_be_checked(tmp_path):
    assert "nowhere.onnx" in refused("check", "nowhere.onnx")


# -------------------------------------------------------------------------------------------------------- manners


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command):
    done = run(command, "--help")
    assert done.exit_code == 0
    assert f"Example: streamsep {command}" in done.stdout


def test_the_version_is_the_packages():
    assert run("--version").stdout == f"streamsep {streamsep.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["separate"],
        ["seperate", "in.wav"],
        ["live", "--seconds", "-1"],
        ["models", "-x"],
        ["separate", "in.wav", "-o", ""],
        ["live", "--record", ""],
        ["demo", "-o", ""],
    ],
)
def test_a_wrong_use_is_told_apart_from_a_failure(arguments):
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize("arguments", [["models", "--json"], ["models"], ["--help"], ["--version"]])
def test_results_that_cannot_be_written_are_one_red_line_and_a_reader_who_has_had_enough_is_none(arguments):
    command = [sys.executable, "-m", "streamsep", *arguments]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "streamsep: standard output: cannot be written: No space left on device\n"
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""


def test_the_installed_command_says_no_in_one_red_line():
    command = [sys.executable, "-m", "streamsep", "separate", "nowhere.wav"]
    environment = os.environ | {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "40"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "\x1b[31mstreamsep: nowhere.wav: no such file\x1b[0m\n"
