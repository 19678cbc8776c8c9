"""What strangers rely on: the public names, the README's code and commands, the settings that are documented."""

import re
import shlex
import subprocess
import sys
import types
from pathlib import Path

import pytest

import streamsep
from streamsep.models.loader import read_manifest

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *(ROOT / folder / "README.md" for folder in ("export", "streamsep/live", "streamsep/report")),
]
SOUND_CARD = "import sounddevice"  # in code that is run on a sound server: see test_readme_live


def fenced(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", [code for code in fenced(PAGES[0], "python") if SOUND_CARD not in code])
def test_the_code_in_the_readme_runs(code: str) -> None:
    exec(compile(code, "README.md", "exec"), {})


def test_the_readme_has_code() -> None:
    assert len(fenced(PAGES[0], "python")) >= 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    for link in links:
        if link.startswith("http"):
            continue
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if heading:
            found = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in found]
            assert heading in anchors, link


def commands() -> list[list[str]]:
    lines = [line for page in PAGES for block in fenced(page, "") for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("streamsep ")]


def test_the_commands_in_the_readme_exist_with_their_options() -> None:
    assert commands()
    for _, name, *arguments in commands():
        help_text = subprocess.run(
            [sys.executable, "-m", "streamsep", name, "--help"],
            capture_output=True, text=True, check=True, env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"},
        ).stdout  # fmt: skip
        for option in (
            argument for argument in arguments if argument.startswith("-") and not argument[1:2].isdigit()
        ):
            assert option in help_text, (name, option)


@pytest.mark.parametrize("synthesis_ms", [8, 4, 2])
def test_the_readme_has_the_latency_that_the_engine_has(synthesis_ms: int) -> None:
    lines = PAGES[0].read_text(encoding="utf-8").splitlines()
    begins = "| **together**" if synthesis_ms == 8 else f"| with `latency.synthesis_ms: {synthesis_ms}`"
    (row,) = (line for line in lines if line.startswith(begins))
    rates = (16_000, 44_100, 48_000, 96_000)
    for rate, cell in zip(rates, row.replace("*", "").split("|")[2:], strict=False):
        with streamsep.load(domain="noise", rate=rate, latency={"synthesis_ms": synthesis_ms}) as engine:
            assert cell.strip() == f"{engine.latency.samples} ({engine.latency.ms:.3g} ms)"


def test_all_names_the_public_names_and_only_them() -> None:
    public = {
        name for name, value in vars(streamsep).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }  # fmt: skip
    assert public == set(streamsep.__all__)


def test_every_public_name_is_described() -> None:
    assert all(getattr(streamsep, name).__doc__ for name in streamsep.__all__)


def test_importing_streamsep_loads_neither_torch_nor_a_sound_card() -> None:
    code = (
        "import sys, streamsep; print(sorted({'torch', 'sounddevice', 'matplotlib', 'scipy'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("domain", ["noise", "music", "environment", "speech"])
def test_the_readme_says_of_the_shipped_models_what_their_manifests_say(domain: str) -> None:
    (row,) = re.findall(rf"^\| `{domain}`: [^|]+\|(.*)\|$", PAGES[0].read_text(encoding="utf-8"), re.MULTILINE)
    told = [tuple(map(float, re.findall(r"-?[0-9.]+", cell))) for cell in row.split("|")]
    manifest = read_manifest(ROOT / "streamsep" / "models" / "zoo" / f"{domain}-step-int8.onnx")
    wanted = re.compile(rf"{domain}\.test\.int8\.([^.]+\.)?si_sdri_db")
    measured = [value for key, value in manifest.metrics.items() if wanted.fullmatch(key)]
    assert told == [tuple(round(value[part], 2) for part in ("mean", "low", "high")) for value in measured]
