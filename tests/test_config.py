"""Settings: what is documented is what there is; what is wrong is refused with file, key, value and what is right."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from streamsep.config import (
    LimiterSettings,
    Settings,
    config_names,
    configs_folder,
    known_keys,
    load_settings,
    merge,
    parse_overrides,
    read_yaml,
)
from streamsep.errors import ConfigError

DEFAULT = configs_folder() / "default.yaml"
RANGES = {
    "dry_floor_db": (-120, 0),
    "fade_ms": (20, 1000),
    "warm_up_ms": (0, 5000),
    "gain_ramp_ms": (0, 1000),
    "limiter.ceiling_db": (-40, 0),
    "limiter.release_ms": (1, 5000),
    "limiter.look_ahead_ms": (0, 20),
    "gains_db.noise": (-120, 24),
    "live.start_db": (-40, 0),
    "live.most_gain_db": (0, 24),
}
NUMBERS = ["gains_db.noise", "gains_db.talker-2", "models.sources"]  # besides those whose default is one
KEYS = st.from_regex(r"\A[a-z_]{1,12}\Z")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def nested(key: str, value: object) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    return value


def value_of(settings: Settings, key: str) -> object:
    found: object = settings
    for part in key.split("."):
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    return found


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# ----------------------------------------------------------------------------------------------- the documented file


def test_default_yaml_has_every_key_and_the_values_of_the_code() -> None:
    said = read_yaml(DEFAULT)
    settings = load_settings()
    for key in known_keys():
        there: Any = said
        for part in key.split("."):
            assert part in there, f"{key} is not in default.yaml"
            there = there[part]
        if not isinstance(there, dict):
            assert there == value_of(settings, key) == value_of(Settings(), key)
    assert settings.gains_db == {
        "speech": 0,
        "noise": -18,
        "vocals": 0,
        "accompaniment": -12,
    }  # the only values it alone has
    assert settings == Settings(gains_db=settings.gains_db)


def test_default_yaml_has_no_key_more_and_a_word_on_each() -> None:
    lines = DEFAULT.read_text(encoding="utf-8").splitlines()
    section, explained, seen = "", False, []
    for line in lines:
        if match := re.match(r"( *)([a-z_]+):", line):
            indent, key = match.groups()
            if not indent:
                section = key
                seen.append(key)
            elif section != "gains_db":
                seen.append(f"{section}.{key}")
            heading = line.endswith(":")  # its keys have their own
            assert heading or explained or "#" in line or section == "gains_db", f"nothing is said about {key}"
        explained = line.startswith("#")
    assert sorted(seen) == sorted(known_keys())


@pytest.mark.parametrize("key", [key for key in RANGES if not key.startswith("gains_db")])
def test_default_yaml_says_the_range_that_is_checked(key: str) -> None:
    low, high = RANGES[key]
    text = DEFAULT.read_text(encoding="utf-8")
    before, after = text.split(f"{key.split('.')[-1]}:", 1)
    near = before.split("\n\n")[-1] + after.split("\n")[0]
    assert re.search(rf"{low}\b[^\n]* to {high}\b", " ".join(near.split())), f"{key}: {low} to {high}"


# ----------------------------------------------------------------------------------------------------- what is right


@given(data=st.data(), key=st.sampled_from(sorted(RANGES)))
def test_a_value_within_its_range_is_taken_and_everything_else_stays(data: st.DataObject, key: str) -> None:
    value = data.draw(st.floats(*RANGES[key]))
    settings = load_settings(nested(key, value))
    assert value_of(settings, key) == value
    assert load_settings(settings.model_dump(), nested(key, value_of(load_settings(), key))) == load_settings()


def test_a_file_says_only_what_is_different(tmp_path: Path) -> None:
    path = write(tmp_path, "domain: music\ngains_db: {accompaniment: -30}\nlimiter:\n  true_peak: true\n")
    settings = load_settings(path)
    assert settings.domain == "music"
    assert settings.gains_db == load_settings().gains_db | {"accompaniment": -30}
    assert settings.limiter == LimiterSettings(true_peak=True)
    assert settings == load_settings(str(path))
    assert load_settings(write(tmp_path, "# nothing yet\n")) == load_settings()


def test_overrides_win_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    path = write(tmp_path, "fade_ms: 200\nwarm_up_ms: 300\n")
    settings = load_settings(path, parse_overrides(["fade_ms=250", "models.precision=fp32"]))
    assert (settings.fade_ms, settings.warm_up_ms, settings.gain_ramp_ms) == (250, 300, 20)
    assert (settings.models.precision, settings.models.bank) == ("fp32", "zoo")


def test_every_configuration_that_can_be_named_is_right() -> None:
    assert "default" in config_names()
    for name in config_names():
        assert isinstance(load_settings(name), Settings)


def test_settings_do_not_change_after_the_check() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().fade_ms = 1  # type: ignore[misc]


@given(base=st.dictionaries(KEYS, VALUES, max_size=4), over=st.dictionaries(KEYS, VALUES, max_size=4))
def test_merging_changes_what_is_named_and_nothing_else(base: dict[str, Any], over: dict[str, Any]) -> None:
    merged = merge(base, over)
    assert merged.keys() == base.keys() | over.keys()
    for key in base.keys() - over.keys():
        assert merged[key] == base[key]
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            assert merged[key] == merge(base[key], value)
        else:
            assert merged[key] == value
    assert merge(merged, over) == merged


@given(keys=st.lists(KEYS, min_size=1, max_size=3), value=st.integers() | st.booleans() | st.floats(-1e9, 1e9))
def test_an_assignment_is_a_nested_value(keys: list[str], value: object) -> None:
    assert parse_overrides([f"{'.'.join(keys)}={yaml.safe_dump(value).splitlines()[0]}"]) == nested(
        ".".join(keys), value
    )


def test_assignments_add_up_and_the_last_one_wins() -> None:
    said = ["limiter.look_ahead_ms=2", "limiter.true_peak=yes", "domain=music", "limiter.look_ahead_ms=5", "a=x=y"]
    wanted = {"limiter": {"look_ahead_ms": 5, "true_peak": True}, "domain": "music", "a": "x=y"}
    assert parse_overrides(said) == wanted
    assert parse_overrides([]) == {}


# ----------------------------------------------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("said", "key", "meant"),
    [
        ({"fade": 100}, "fade", "did you mean fade_ms"),
        ({"gain_db": {}}, "gain_db", "did you mean gains_db"),
        ({"limiter": {"cieling_db": -1}}, "limiter.cieling_db", "did you mean limiter.ceiling_db"),
        ({"ceiling_db": -1}, "ceiling_db", "did you mean limiter.ceiling_db"),
        ({"models": {"banc": "zoo"}}, "models.banc", "did you mean models.bank"),
        ({"xyzzy": 1}, "xyzzy", r"the keys are \['domain', 'gains_db'"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_one(said: dict[str, Any], key: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=rf"settings: {key}: unknown key.*{meant}"):
        load_settings(said)


@given(data=st.data(), key=st.sampled_from(sorted(RANGES)))
def test_a_value_out_of_its_range_is_refused_with_key_and_value(data: st.DataObject, key: str) -> None:
    low, high = RANGES[key]
    outside = (
        st.floats(max_value=low, exclude_max=True) | st.floats(min_value=high, exclude_min=True) | st.just(math.nan)
    )
    value = data.draw(outside)
    with pytest.raises(ConfigError, match=re.escape(f"settings: {key}: ") + ".*" + re.escape(f"got {value!r}")):
        load_settings(nested(key, value))


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"fade_ms": "long"}, "fade_ms: Input should be a valid number.*got 'long'"),
        ({"fade_ms": None}, "fade_ms: Input should be a valid number.*got None"),
        ({"domain": 3}, "domain: Input should be a valid string, got 3"),
        ({"gains_db": -3}, "gains_db: Input should be a valid dictionary, got -3"),
        ({"gains_db": {"noise": "low"}}, r"gains_db\.noise: Input should be a valid number.*got 'low'"),
        ({"limiter": [1]}, r"limiter: .*got \[1\]"),
        (
            {"limiter": {"true_peak": "perhaps"}},
            r"limiter\.true_peak: Input should be a valid boolean.*got 'perhaps'",
        ),
        ({"latency": {"synthesis_ms": 6}}, r"latency\.synthesis_ms: Input should be 8, 4 or 2, got 6"),
        ({"models": {"precision": "fp16"}}, r"models\.precision: Input should be 'int8' or 'fp32', got 'fp16'"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_with_key_and_value(
    tmp_path: Path, said: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load_settings(said)
    path = write(tmp_path, yaml.safe_dump(said))
    with pytest.raises(ConfigError, match=complaint) as caught:
        load_settings(path)
    assert str(caught.value).startswith(f"{path}: ")
    with pytest.raises(ConfigError, match=complaint):
        load_settings("default", said)


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (
            {"full_band": False, "latency": {"path": "minimum-phase"}},
            "settings: full_band must be true with latency.path: minimum-phase, .* set latency.path: window",
        ),
        (
            {"latency": {"path": "minimum-phase", "synthesis_ms": 4}},
            "settings: latency: synthesis_ms must be null with path: minimum-phase, got 4$",
        ),
        (
            {"monitor": {"margin_db": 1, "hysteresis_db": 2}},
            r"settings: monitor: hysteresis_db must be at most margin_db, 1\.0, got 2\.0$",
        ),
    ],
)
def test_keys_that_contradict_each_other_are_refused_by_both_names(said: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load_settings(said)


def test_what_a_named_configuration_cannot_be_set_to_is_refused_with_its_file() -> None:
    with pytest.raises(ConfigError, match=r"hearing-aid\.yaml: full_band must be true"):
        load_settings("hearing-aid", {"full_band": False})
    assert load_settings("hearing-aid", {"full_band": False, "latency": {"path": "window"}}).full_band is False


@pytest.mark.parametrize("key", [key for key in known_keys() if is_number(value_of(Settings(), key))] + NUMBERS)
@pytest.mark.parametrize(("word", "value"), [("off", False), ("no", False), ("on", True), ("yes", True)])
def test_what_yaml_reads_as_true_or_false_is_no_number(tmp_path: Path, key: str, word: str, value: bool) -> None:
    said = re.escape(f"{key}: expected a number, got {value} (YAML reads ")
    with pytest.raises(ConfigError, match=f"settings: {said}.*{word} .*as {str(value).lower()}"):
        load_settings(overrides=parse_overrides([f"{key}={word}"]))
    with pytest.raises(ConfigError, match=rf"mine\.yaml: {said}"):
        load_settings(write(tmp_path, yaml.safe_dump(nested(key, value))))


def test_who_wants_a_source_off_is_told_how() -> None:
    with pytest.raises(ConfigError, match=r"gains_db\.noise: .* -120 is silent"):
        load_settings(overrides=parse_overrides(["gains_db.noise=off"]))


@given(margin_db=st.floats(0, 20), hysteresis_db=st.floats(0, 20), where=st.sampled_from(["file", "both", "set"]))
def test_keys_that_belong_together_may_come_from_two_places(
    tmp_path_factory: pytest.TempPathFactory, margin_db: float, hysteresis_db: float, where: str
) -> None:
    path = tmp_path_factory.mktemp("config") / "mine.yaml"
    margin, hysteresis = {"margin_db": margin_db}, {"hysteresis_db": hysteresis_db}
    file = {"file": margin | hysteresis, "both": margin, "set": {}}[where]
    changes = {"file": {}, "both": hysteresis, "set": margin | hysteresis}[where]
    path.write_text(yaml.safe_dump({"monitor": file}))
    overrides = {"monitor": changes} if changes else None
    if hysteresis_db <= margin_db:
        found = load_settings(path, overrides).monitor
        assert (found.margin_db, found.hysteresis_db) == (margin_db, hysteresis_db)
    else:
        blamed = f"settings on top of {path}" if overrides else str(path)
        said = f"{blamed}: monitor: hysteresis_db must be at most margin_db, {margin_db}, got {hysteresis_db}"
        with pytest.raises(ConfigError, match=f"^{re.escape(said)}$"):
            load_settings(path, overrides)


def test_what_is_wrong_by_itself_is_blamed_on_where_it_was_said(tmp_path: Path) -> None:
    path = write(tmp_path, "monitor: {margin_db: 2}\n")
    with pytest.raises(ConfigError, match=r"^settings: monitor\.margin: unknown key"):
        load_settings(path, {"monitor": {"margin": 3}})
    with pytest.raises(ConfigError, match=r"^settings: fade_ms: .*got 3$"):
        load_settings(path, {"fade_ms": 3})
    write(tmp_path, "fade_ms: 3\n")
    with pytest.raises(ConfigError, match=rf"^{re.escape(str(path))}: fade_ms: .*got 3$"):
        load_settings(path, {"warm_up_ms": 3})


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(
        ConfigError, match=r"fade_ms: .*; limiter\.release_ms: .*; wram_up_ms: unknown key, did you mean warm"
    ):
        load_settings({"fade_ms": 1, "limiter": {"release_ms": 0}, "wram_up_ms": 0})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"gains_db: {noise: -18\nfade_ms: 3", "not valid YAML: .*line 2"),
        (b"fade_ms: 100\n  domain: music", "not valid YAML"),
        (b"domain: \xff\xfe", "not valid YAML: .*codec"),
        (b"domain: 2024-13-45", "not valid YAML: month must be in 1..12"),
        (b"- noise\n- music", "expected keys and values, got list"),
        (b"music", "expected keys and values, got str"),
    ],
)
def test_a_file_that_is_no_settings_is_refused_by_name(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=said) as caught:
        load_settings(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_in_the_current_folder_takes_no_configurations_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in config_names():
        Path(name).write_text("fade_ms: 321\n")
        assert load_settings(name).fade_ms != 321
        assert load_settings(f"./{name}").fade_ms == 321
    Path("mine").write_text("fade_ms: 321\n")
    assert load_settings("mine").fade_ms == 321
    Path("default.yaml").write_text("fade_ms: 321\n")
    assert load_settings("default.yaml").fade_ms == 321


def test_a_configuration_that_cannot_be_read_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"^y+: cannot be read: File name too long"):
        load_settings("y" * 300)
    path = write(tmp_path, "fade_ms: 100\n")

    def locked(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", locked)
    with pytest.raises(ConfigError, match=rf"^{re.escape(str(path))}: cannot be read: Permission denied$"):
        read_yaml(path)


@pytest.mark.parametrize("name", ["restaurant", "nowhere/mine.yaml", "."])
def test_a_configuration_that_is_not_there_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"{re.escape(name)}: no such configuration; give a YAML file or one of \[.*'default'"
    ):
        load_settings(name)


@pytest.mark.parametrize(
    "assignment",
    ["fade_ms", "=3", "limiter.=3", ".fade_ms=3", "gains_db..noise=1", "fade_ms=[1", "domain=2024-13-45"],
)
def test_an_assignment_that_is_none_is_refused(assignment: str) -> None:
    with pytest.raises(ConfigError, match=rf"--set {re.escape(assignment)}: "):
        parse_overrides([assignment])


@pytest.mark.parametrize(
    "text", ["fade_ms: 100\ndomain: noise\nfade_ms: 50\n", "a:\n\n  {fade_ms: -3, fade_ms: -4}\n"]
)
def test_a_key_that_is_there_twice_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"mine\.yaml: not valid YAML: 'fade_ms' is there twice .* line 3"):
        load_settings(write(tmp_path, text))
