"""What the smaller commands say: of checksums, rates, scores, reports that lack something, gains that do nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from calibrated import make_calibrated_bank, promising
from hypothesis import given
from hypothesis import strategies as st
from made_up import made_up
from small_bank import make_bank
from strategies import noise
from typer.testing import CliRunner

from streamsep.audio import files
from streamsep.bench.report import read_report
from streamsep.cli import bench
from streamsep.cli.live import Screen
from streamsep.cli.live import run as run_live
from streamsep.cli.main import app
from streamsep.cli.models import compared
from streamsep.cli.options import chosen, nothing_to_hear
from streamsep.config import load_settings
from streamsep.errors import ConfigError
from streamsep.realtime.ledger import Ledger
from streamsep.realtime.masking import gain_db_of

LINES = st.lists(st.sampled_from(["", "  ", "word", "# a remark", "a b c", "0f  other.onnx", "\x00"]), max_size=5)


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


# --------------------------------------------------------------------------------------------------------- models


@given(before=LINES, after=LINES, listed=st.sampled_from(["0a", "0b", None]))
def test_whatever_else_is_in_a_list_of_checksums_a_model_is_found_in_it(
    tmp_path_factory: pytest.TempPathFactory, before: list[str], after: list[str], listed: str | None
) -> None:
    folder = tmp_path_factory.mktemp("sums")
    line = [] if listed is None else [f"{listed} *mine.onnx"]
    (folder / "SHA256SUMS").write_text("\n".join([*before, *line, *after]))
    wanted = {"0a": "ok", "0b": "WRONG", None: "not listed"}[listed]
    assert compared(folder / "mine.onnx", "0a") == wanted


def test_a_list_of_checksums_that_is_no_text_lists_nothing(tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS").write_bytes(b"\xff\xfe mine.onnx\n\xff")
    assert compared(tmp_path / "mine.onnx", "0a") == "WRONG"
    assert compared(tmp_path / "other.onnx", "0a") == "not listed"


def test_the_latency_is_told_at_the_rate_that_was_asked_for(tmp_path: Path) -> None:
    bank = ["--set", f"models.bank={make_bank(tmp_path / 'bank')}", "--set", "models.precision=fp32", "--json"]
    own, same, higher = (
        json.loads(run("models", *rate, *bank).stdout)[0]["latency"]
        for rate in ([], ["--rate", 16_000], ["--rate", 48_000])
    )
    assert own == same
    assert (own["rate"], own["samples"], higher["rate"]) == (16_000, 128, 48_000)
    assert higher["samples"] > 3 * own["samples"]  # the resampler takes time too
    assert higher["samples"] == sum(higher["terms"].values())
    assert run("models", "--rate", 7999).exit_code == run("models", "--rate", 192_001).exit_code == 2


# ---------------------------------------------------------------------------------------------------------- score


def test_the_score_can_be_read_on_any_terminal_and_says_what_it_means(tmp_path: Path) -> None:
    files.write(tmp_path / "in.wav", noise(0, 40_000), 16_000)
    mine = make_calibrated_bank(tmp_path / "bank", music=promising(2.0), noise=promising(-5.0))
    command = ["score", tmp_path / "in.wav", "--set", f"models.bank={mine}", "--set", "models.precision=fp32"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "streamsep", *command],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "music <" in done.stdout
    assert "noise <" not in done.stdout
    assert "< promises most; confidences of different models do not compare" in done.stdout


# ---------------------------------------------------------------------------------------------------------- bench


@pytest.mark.parametrize("key", sorted(made_up().keys() - {"format", "hop", "import_s"}))
def test_a_report_that_lacks_something_is_refused_by_its_name(tmp_path: Path, key: str) -> None:
    report = made_up()
    del report[key]
    (tmp_path / "old.json").write_text(json.dumps(report))
    with pytest.raises(ConfigError, match=rf"old\.json: no whole report .*\['{key}'\] are missing"):
        read_report(tmp_path / "old.json")


@pytest.mark.parametrize("name", ["\N{MUSICAL NOTE}\N{GUITAR}", "it's", 'a "b" \\n: {c}', "\t"])
def test_a_bank_may_have_any_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_bank(tmp_path / name)
    seen: list[Any] = []

    def measure(make: Any, *_: Any) -> dict[str, Any]:
        seen.append(make)
        return made_up() | {"settings": {"models": {}}}

    monkeypatch.setattr("streamsep.bench.run.measure", measure)
    bench.measured(folder, "default", "noise", None, 1.0, None)
    assert seen[0].settings.models.bank == str(folder)
    assert seen[0].settings.models.precision == "fp32"


def test_what_is_set_goes_on_top_of_what_is_given() -> None:
    settings = chosen("default", None, ["models.bank=mine"], {"models": {"bank": "given", "precision": "fp32"}})
    assert (settings.models.bank, settings.models.precision) == ("mine", "fp32")


# ---------------------------------------------------------------------------------------- gains that change nothing


@given(
    gains_db=st.dictionaries(st.sampled_from(["talker", "talker-1", "talker-2"]), st.sampled_from([0, -3, -120])),
)
def test_who_hears_nothing_but_the_input_is_told_and_nobody_else(gains_db: dict[str, float]) -> None:
    names = ["talker-1", "talker-2"]
    settings = load_settings(overrides={"domain": "speech", "gains_db": gains_db})
    first, second = (gain_db_of(name, gains_db) for name in names)
    remark = nothing_to_hear(settings, {"speech": names})
    assert (remark is not None) == (first == second != -120)  # who has silenced them all knows it
    if remark is not None:
        how = ", as loud as that" if first else ""
        assert remark == (
            f"all gains of speech are {first:g} dB: what is heard is the input{how}; try --set gains_db.talker-2=-30"
        )
    both = nothing_to_hear(settings, {"speech": names, "environment": ["event-1", "event-2"]})
    assert (both is not None) == (remark is not None)
    if both is not None:
        assert both.startswith(f"all gains of speech are {first:g} dB and all gains of environment are 0 dB: ")
    assert nothing_to_hear(settings, {}) is None


@pytest.mark.parametrize(("domain", "told"), [("speech", True), ("noise", False), ("auto", False)])
def test_live_tells_it_at_the_start_where_a_domain_was_named(
    capsys: pytest.CaptureFixture[str], domain: str, told: bool
) -> None:
    opened = {
        "input": "microphone", "output": "headphones", "rate": 48_000, "channels": 1, "block": 0,
        "domains": ["noise", "speech"], "sources": {"noise": ["speech", "noise"], "speech": ["talker-1", "talker-2"]},
    }  # fmt: skip
    plan = SimpleNamespace(settings=load_settings(overrides={"domain": domain}))
    session = SimpleNamespace(opened=opened, ledger=Ledger(48_000, {"window": 384}), plan=plan, finished=True)
    run_live(session, Screen(), None, lambda: False)  # type: ignore[arg-type]
    said = " ".join(capsys.readouterr().err.split())
    assert ("all gains of speech are 0 dB" in said) == told
    assert said.endswith("Ctrl-C ends.")
