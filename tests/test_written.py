"""The folder that `streamsep separate` writes: all of a run or nothing, and nothing that is not its own is lost."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calibrated import make_calibrated_bank, promising
from hypothesis import given
from hypothesis import strategies as st
from small_bank import make_bank
from small_disk import small_disk
from strategies import noise
from typer.testing import CliRunner

from streamsep.audio import files
from streamsep.cli.main import app
from streamsep.cli.written import DECISIONS, SUMMARY, TIMELINE, written_at_once

RATE = 16_000
NAMES = st.sampled_from(["listen.wav", "noise.wav", "vocals.wav", "in.wav", "mine.txt", DECISIONS, TIMELINE])
LISTED = st.lists(NAMES | st.sampled_from(["../outside.wav", "/etc/hostname", "", ".", 3, None]), max_size=8)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = make_bank(tmp_path_factory.mktemp("written") / "bank")
    return ["--set", f"models.bank={folder}", "--set", "models.precision=fp32"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files.write("in.wav", noise(0, RATE // 2), RATE)


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def refused(*arguments: object) -> str:
    done = run(*arguments)
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    return str(line)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


# ---------------------------------------------------------------------------------------------------- an earlier run


@given(
    there=st.sets(NAMES),
    listed=st.none() | LISTED | st.integers() | st.text(max_size=3),
    new=st.sets(NAMES, min_size=1),
    text=st.sampled_from([None, "", "{", "[]", '{"files": 3}']),
)
def test_of_an_earlier_run_all_goes_that_its_summary_lists_and_of_others_nothing(
    there: set[str], listed: Any, new: set[str], text: str | None
) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "out"
        folder.mkdir()
        (Path(place) / "outside.wav").write_text("outside")
        for name in there:
            (folder / name).write_text("old")
        (folder / SUMMARY).write_text(json.dumps({"files": listed}) if text is None else text)
        sound = Path(place) / "sound.wav"
        sound.write_text("sound")
        with written_at_once(folder, sound) as aside:
            for name in new | {SUMMARY}:
                (aside / name).write_text("new")
        found = contents(folder)
        known = set(listed) if text is None and isinstance(listed, list) else set()
        for name in there - new:
            outputs = name.endswith(".wav") or name in (DECISIONS, TIMELINE)
            assert (name in found) == (name not in known or not outputs or bad(listed))
        assert {name for name, content in found.items() if content == b"new"} == new | {SUMMARY}
        assert (Path(place) / "outside.wav").read_text() == "outside"
        assert not list(folder.glob(".*"))


def bad(listed: list[Any]) -> bool:
    """A list with what is no name: of another program."""
    return not all(isinstance(name, str) for name in listed)


def test_the_input_stays_though_an_earlier_run_has_written_it(bank: list[str]) -> None:
    assert run("separate", "in.wav", "-o", "out", "--domain", "noise", *bank).exit_code == 0
    sound = Path("out/noise.wav").read_bytes()
    assert run("separate", "out/noise.wav", "-o", "out", "--domain", "music", *bank).exit_code == 0
    names = {path.name for path in Path("out").iterdir()}
    assert names == {"listen.wav", "noise.wav", "vocals.wav", "accompaniment.wav", "summary.json"}
    assert Path("out/noise.wav").read_bytes() == sound


def test_another_domain_into_the_same_folder_leaves_no_source_of_the_first(tmp_path: Path) -> None:
    mine = make_calibrated_bank(tmp_path / "bank", music=promising(2.0), noise=promising(-5.0))
    chosen = ["--set", f"models.bank={mine}", "--set", "models.precision=fp32"]
    Path("out").mkdir()
    Path("out/diary.wav").write_text("mine")
    for domain in ("auto", "noise", "music"):
        assert run("separate", "in.wav", "-o", "out", "--domain", domain, *chosen).exit_code == 0
        names = json.loads(Path("out/summary.json").read_text())["files"]
        assert sorted(path.name for path in Path("out").iterdir()) == sorted([*names, "diary.wav"])


# -------------------------------------------------------------------------------------------------- what is refused


def test_into_a_recorded_session_nothing_is_written(bank: list[str]) -> None:
    Path("evening").mkdir()
    Path("evening/session.json").write_text("{}")
    assert "evening: a recorded session is there; choose another folder" in refused(
        "separate", "in.wav", "-o", "evening", "--domain", "noise", *bank
    )
    assert contents(Path("evening")) == {"session.json": b"{}"}


@pytest.mark.parametrize("name", ["listen.wav", "noise.wav", "summary.json"])
def test_where_a_target_is_a_folder_everything_stays_as_it_was(bank: list[str], name: str) -> None:
    wanted = ["separate", "in.wav", "-o", "out", *bank]
    assert run(*wanted, "--domain", "music").exit_code == 0
    Path("out", name).unlink(missing_ok=True)
    Path("out", name).mkdir()
    before = contents(Path("out"))
    line = refused(*wanted, "--domain", "noise")
    assert f"out/{name}: there is a folder of this name; choose another one with -o" in line
    assert contents(Path("out")) == before


@pytest.mark.parametrize("size", [0, 1000, 20_000])
@pytest.mark.parametrize("separated", [False, True])  # it fails while separating, or only when the files are written
def test_on_a_full_disk_the_place_and_the_reason_are_named_and_everything_stays_as_it_was(
    bank: list[str], size: int, separated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if separated:
        monkeypatch.setattr("streamsep.recording.zeros", lambda shape, folder: np.zeros(shape, np.float32))
    wanted = ["separate", "in.wav", "-o", "out", "--domain", "noise", *bank]
    assert run(*wanted).exit_code == 0
    before = contents(Path("out"))
    with small_disk(size):
        line = refused(*wanted, "--set", "gains_db.noise=-40")
    place = "out/listen.wav: cannot be written" if separated else r"out: cannot hold \d+\.\d MB while separating"
    assert re.fullmatch(f"streamsep: {place}: File too large", line)
    assert contents(Path("out")) == before
    assert sorted(path.name for path in Path("out").iterdir()) == sorted(before)


def test_a_name_that_is_too_long_is_said_before_anything_is_separated(bank: list[str]) -> None:
    assert refused("separate", "in.wav", "-o", "y" * 300, *bank).endswith(
        "cannot be written into: File name too long"
    )
    assert refused("separate", "y" * 300, *bank).endswith("File name too long")


KILLED = """
import os, signal, sys
from pathlib import Path
from streamsep.cli.written import written_at_once

with written_at_once(Path("out"), Path("in.wav")) as aside:
    (aside / "listen.wav").write_text("half")
    os.kill(os.getpid(), signal.SIGTERM)
"""


def test_sigterm_while_it_writes_leaves_nothing_behind() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], timeout=120, check=False)
    assert done.returncode == 128 + signal.SIGTERM
    assert list(Path("out").iterdir()) == []


def test_afterwards_sigterm_does_what_it_did() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with written_at_once(Path("out"), Path("in.wav")):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


# --------------------------------------------------------------------------------------------- names, rates, remarks


@pytest.mark.skipif(sys.platform != "linux", reason="its file systems take names of any bytes")
def test_names_that_are_not_utf8_are_read_and_written(bank: list[str]) -> None:
    sound, folder = Path(os.fsdecode(b"Bj\xf6rk.wav")), Path(os.fsdecode(b"\xe9couter"))
    Path("in.wav").rename(sound)
    command = [sys.executable, "-m", "streamsep", "separate", sound, "-o", folder, "--domain", "noise", *bank]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert len(files.read(folder / "speech.wav")[0]) == RATE // 2
    assert json.loads((folder / "summary.json").read_text())["input"] == str(sound)


@pytest.mark.parametrize("rate", [4000, 7999, 192_001, 384_000])
@pytest.mark.parametrize("command", ["separate", "score"])
def test_a_rate_that_the_engine_does_not_take_is_refused_with_the_file(command: str, rate: int) -> None:
    files.write("in.wav", noise(0, 100), rate)
    line = refused(command, "in.wav")
    assert line == f"streamsep: in.wav: expected a rate of 8000 to 192000 Hz, got {rate}; resample it first"


@pytest.mark.parametrize(
    ("arguments", "remark"),
    [
        (["--domain", "talkers"], "all gains of talkers are 0 dB: what is heard is the input; "),
        (["--domain", "talkers", "--set", "gains_db.talker=-3"], "all gains of talkers are -3 dB"),
        (["--domain", "talkers", "--set", "gains_db.talker-2=-30"], None),
        (["--domain", "noise"], None),
        (["--domain", "noise", "--set", "gains_db.noise=0"], "try --set gains_db.noise=-30"),
    ],
)
def test_who_will_hear_the_input_is_told(bank: list[str], arguments: list[str], remark: str | None) -> None:
    done = run("separate", "in.wav", *arguments, *bank)
    assert done.exit_code == 0
    assert (remark in done.stderr) if remark else done.stderr == ""


def test_the_remark_names_a_change_after_which_it_is_not_made_again(bank: list[str]) -> None:
    said = run("separate", "in.wav", "--domain", "talkers", *bank).stderr
    change = said.split("try --set ")[1].strip()
    assert run("separate", "in.wav", "--domain", "talkers", "--set", change, *bank).stderr == ""


def test_a_name_is_shown_as_it_is(bank: list[str]) -> None:
    Path("in.wav").rename("a:100:.wav")
    assert "a:100:.wav as noise" in run("separate", "a:100:.wav", "--domain", "noise", *bank).stdout
