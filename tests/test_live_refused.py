"""What cannot begin says why, in one clear line, before anything is written: settings first, then the sound card."""

import subprocess
import sys
from pathlib import Path

import pytest
from jack_server import jack_server, sound_environment
from small_bank import make_bank
from typer.testing import CliRunner

from streamsep.cli.main import app

LIMIT_S = 120  # of a subprocess, on a machine that has other things to do
BAD = "fade_ms: 5\n"


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = make_bank(tmp_path_factory.mktemp("refused") / "bank")
    return ["--set", f"models.bank={folder}", "--set", "models.precision=fp32"]


def refused(environment: dict[str, str], *arguments: str, folder: Path) -> str:
    """What is said by a command that must fail; folder: must be empty afterwards."""
    done = subprocess.run(
        [sys.executable, "-m", "streamsep", *arguments],
        env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False, cwd=folder,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert list(folder.iterdir()) == []
    *remarks, line = done.stderr.splitlines()
    assert all(remark.startswith(("system →", "For 6 s")) for remark in remarks), done.stderr
    assert line.startswith("streamsep: ")
    return line.removeprefix("streamsep: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["live", "--record", "take"], "there is no input device: plug one in or start the sound server"),
        (["live", "--record", "take", "--domain", "weather"], "domain: unknown domain 'weather'; this bank has"),
        (["latency", "--set", "gains_db.wind=3"], "gains_db: no source is called 'wind'; this bank has"),
        (["latency", "--loop"], "no host API has a device, 'JACK Audio Connection Kit' neither: plug one in"),
        (["doctor", "--domain", "weather"], "domain: unknown domain 'weather'; this bank has"),
    ],
)
def test_without_a_sound_card_what_is_wrong_with_the_settings_is_said_first(
    bank: list[str], tmp_path: Path, arguments: list[str], said: str
) -> None:
    assert refused(sound_environment("no-such-server"), *arguments, *bank, folder=tmp_path).startswith(said)


def test_on_a_server_too_nothing_is_written_before_everything_is_right(bank: list[str], tmp_path: Path) -> None:
    system = ["--input", "system", "--output", "system", "--record", "take"]
    with jack_server() as environment:
        for arguments, said in (
            (["live", *system, "--domain", "weather"], "domain: unknown domain"),
            (["live", *system, "--rate", "44100"], "'system' to 'system' at 44100 Hz"),
            (["live", "--record", "take", "--input", "a flute"], "no input device 'a flute'; there are"),
            (["live", "--record", "/dev/null/take", *system[:4]], "/dev/null/take: cannot be recorded into"),
            (["latency", "--loop", "--channels", "9"], "'system' to 'system' at 48000 Hz with 9 channels"),
        ):
            assert refused(environment, *arguments, *bank, "--set", "domain=noise", folder=tmp_path).startswith(said)


@pytest.mark.parametrize("command", ["live", "latency", "doctor"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--config", "bad.yaml"], "bad.yaml: fade_ms: Input should be greater than or equal to 20, got 5"),
        (["--config", "good.yaml"], "good.yaml: no such configuration; give a YAML file or one of"),
        (["--set", "live.start_db=-99"], "live.start_db: Input should be greater than or equal to -40, got -99"),
        (["--set", "models.bank=nowhere"], "nowhere: no such folder of models"),
    ],
)
def test_bad_settings_are_refused_whatever_the_sound_card(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text(BAD)
    outcome = CliRunner().invoke(app, [command, *arguments])
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert said in " ".join(outcome.stderr.split())


@pytest.mark.parametrize("command", ["live", "latency", "doctor"])
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--rate", "7"), ("--rate", "1e9"), ("--rate", "1000000000"), ("--channels", "0"), ("--channels", "1000000"),
        ("--block", "-1"), ("--block", "100000000"), ("--seconds", "nan"), ("--seconds", "-1"), ("--seconds", "soon"),
    ],
)  # fmt: skip
def test_numbers_that_cannot_be_are_refused_by_the_name_of_their_option(
    command: str, option: str, value: str
) -> None:
    outcome = CliRunner().invoke(app, [command, option, value])
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert f"Invalid value for '{option}'" in outcome.stderr
