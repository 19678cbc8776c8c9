"""Live clustering: masks are posteriors, centres follow what is theirs and nothing else; and K sources end to end."""

import json
from pathlib import Path

import numpy as np
import pytest
from embedded import bands, clusters, make_bands, unit
from fakes import FRONT, Recorder, make_engine
from graphs import CENTRES, MANIFEST, make_graph
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_bank import make_model
from strategies import noise, seeds
from typer.testing import CliRunner

import streamsep
from streamsep.arrays import Array, Block
from streamsep.audio import files
from streamsep.cli.main import app
from streamsep.errors import ConfigError, ModelError
from streamsep.evaluation.clustering import shares
from streamsep.models.bank import open_bank
from streamsep.models.clustered import open_clustered
from streamsep.models.loader import Batch, open_graph
from streamsep.models.manifest import parse_manifest
from streamsep.models.subject import hear, hops_of, step_through
from streamsep.realtime import window_path
from streamsep.realtime.centres import FORGETTING_S, HARDNESS, LEVEL_S, LOUD_DB, SILENT_DB, SILENT_DBFS, Centres
from streamsep.realtime.contract import Separator
from streamsep.realtime.masking import apply

HOP_S = FRONT.hop / FRONT.sample_rate
BINS = FRONT.bins
SECOND = round(1 / HOP_S)


def centres_of(centres: Centres) -> Array:
    return centres.memory()["clusters.centres"].copy()


def obvious(warm_start: Array, embeddings: Array, magnitudes: Array) -> tuple[Array, Array, float]:
    """(hops, bins, dims), (hops, bins) -> masks (hops, sources, bins), the last centres: slow, in float64.

    And by how much the nearest centre was nearer than the next, at least: rounding may decide otherwise."""
    centres, masks, clear = warm_start.astype(np.float64), [], np.inf
    total = count = 0.0
    for points, sizes in zip(embeddings.astype(np.float64), magnitudes.astype(np.float64), strict=True):
        squares = ((points[:, None] - centres) ** 2).sum(-1)
        clear = min(clear, np.diff(np.sort(squares, 1)[:, :2]).min(initial=np.inf))
        posterior = np.exp(-HARDNESS * squares)
        posterior /= posterior.sum(1, keepdims=True)
        masks.append(posterior.T)
        keep = np.exp(-HOP_S / LEVEL_S)
        total, count = keep * total + np.mean(sizes**2), keep * count + 1
        silence = max(10 ** (SILENT_DB / 10) * total / count, 10 ** (SILENT_DBFS / 10) * FRONT.window / 2)
        weights = np.maximum(sizes - 10 ** (LOUD_DB / 20) * np.sqrt(total / count), 0)
        if np.mean(sizes**2) <= silence or not weights.any():
            continue
        weights /= weights.sum()
        for source in range(len(centres)):
            own = squares.argmin(1) == source
            pull = (1 - np.exp(-HOP_S / FORGETTING_S)) * posterior[:, source] * weights * own
            centres[source] += pull @ (points - centres[source])
    return np.array(masks), centres, clear


# -------------------------------------------------------------------------------------------------------- the centres


@settings(max_examples=30, deadline=None)
@given(seed=seeds, sources=st.integers(1, 5), dims=st.integers(2, 20), level=st.floats(-90, 60))
def test_masks_and_centres_are_those_of_soft_k_means(seed: int, sources: int, dims: int, level: float) -> None:
    random = np.random.default_rng(seed)
    embeddings = unit(random.normal(size=(12, BINS, dims)))
    magnitudes = (10 ** (level / 20) * random.exponential(size=(12, BINS)) ** 3).astype(np.float32)
    warm_start = (0.9 * unit(random.normal(size=(sources, dims)))).astype(np.float32)
    centres = Centres(warm_start, BINS, HOP_S)
    masks = np.stack([centres.process(*hop).copy() for hop in zip(embeddings, magnitudes, strict=True)])
    wanted, last, clear = obvious(warm_start, embeddings, magnitudes)
    assume(clear > 1e-5)
    np.testing.assert_allclose(masks, wanted, atol=1e-5)
    np.testing.assert_allclose(centres_of(centres), last, atol=1e-5)
    np.testing.assert_allclose(masks.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(masks[0], shares(embeddings[:1], warm_start.astype(np.float64))[0], atol=1e-5)
    assert masks.min() >= 0
    assert np.linalg.norm(centres_of(centres), axis=1).max() <= 1 + 1e-6


@settings(max_examples=15, deadline=None)
@given(seed=seeds, sources=st.integers(2, 4), absent=st.integers(0, 3))
def test_a_centre_whose_source_is_absent_waits_where_it_was(seed: int, sources: int, absent: int) -> None:
    random, absent = np.random.default_rng(seed), absent % sources
    means = np.eye(sources, 6)
    centres = Centres(means.astype(np.float32), BINS, HOP_S)
    present = np.arange(sources) != absent
    for points in clusters(random, means, 100, present)[0]:
        centres.process(points, np.ones(BINS, np.float32))
    np.testing.assert_array_equal(centres_of(centres)[absent], means[absent].astype(np.float32))
    assert np.all(centres_of(centres)[present] != means[present].astype(np.float32))


@settings(max_examples=10, deadline=None)
@given(seed=seeds, sources=st.integers(2, 4))
def test_labels_stay_while_clusters_wander_and_come_and_go(seed: int, sources: int) -> None:
    random = np.random.default_rng(seed)
    basis = np.linalg.qr(random.normal(size=(8, 8)))[0]
    centres = Centres(basis[:sources].astype(np.float32), BINS, HOP_S)
    for angle in np.linspace(0, np.pi / 2, 3 * SECOND):  # each walks from one direction to another, nobody's before
        means = np.cos(angle) * basis[:sources] + np.sin(angle) * basis[4 : 4 + sources]
        present = np.arange(sources) == random.integers(sources) if random.random() < 0.3 else np.ones(sources, bool)
        points, owners = clusters(random, means, 1, present)
        masks = centres.process(points[0], np.ones(BINS, np.float32))
    assert np.mean(masks.argmax(0) == owners[0]) > 0.99


@settings(max_examples=20, deadline=None)
@given(seed=seeds, apart_db=st.floats(40, 150), gain_db=st.floats(-20, 80))
def test_in_silence_every_centre_is_frozen_to_the_bit(seed: int, apart_db: float, gain_db: float) -> None:
    random = np.random.default_rng(seed)
    embeddings = unit(random.normal(size=(60, BINS, 5)))
    magnitudes = (10 ** (gain_db / 20) * random.uniform(0.5, 1, size=(60, BINS))).astype(np.float32)
    centres = Centres(unit(random.normal(size=(2, 5))), BINS, HOP_S)
    for hop in range(30):
        centres.process(embeddings[hop], magnitudes[hop])
    before = centres_of(centres)
    for hop in range(30, 60):
        masks = centres.process(embeddings[hop], magnitudes[hop] * np.float32(10 ** (-apart_db / 20)))
        np.testing.assert_allclose(masks.sum(0), 1, atol=1e-5)
    np.testing.assert_array_equal(centres_of(centres), before)


def test_faint_noise_moves_nothing_even_when_there_was_never_anything_else() -> None:
    warm_start = np.eye(2, dtype=np.float32)
    for level_db, moves in ((SILENT_DBFS - 3, False), (SILENT_DBFS + 3, True)):
        sound = np.random.default_rng(0).normal(size=SECOND * FRONT.hop) * 10 ** (level_db / 20)
        centres = Centres(warm_start, BINS, HOP_S)
        for frame in np.abs(hops_of(FRONT, sound).spectra).astype(np.float32):
            centres.process(np.tile(unit(np.array([3.0, 1.0])), (BINS, 1)), frame)
        assert np.array_equal(centres_of(centres), warm_start) != moves


@given(gain_db=st.floats(-40, 60))
@settings(max_examples=20, deadline=None)
def test_the_loudness_of_it_all_does_not_matter(gain_db: float) -> None:
    random = np.random.default_rng(0)
    embeddings, magnitudes = unit(random.normal(size=(40, BINS, 5))), random.exponential(size=(40, BINS))
    found = []
    for gain in (1, 10 ** (gain_db / 20)):
        centres = Centres(unit(np.random.default_rng(1).normal(size=(3, 5))), BINS, HOP_S)
        for points, sizes in zip(embeddings, (10 * gain * magnitudes).astype(np.float32), strict=True):
            centres.process(points, sizes)
        found.append(centres_of(centres))
    np.testing.assert_allclose(*found, atol=1e-3)


def test_a_centre_that_owns_all_goes_two_thirds_of_the_way_in_its_time_constant() -> None:
    start, end = np.float32([[1.0, 0.0], [-1.0, 0.0]]), unit(np.array([0.6, 0.8]))
    centres = Centres(start, BINS, HOP_S)
    posterior = shares(np.tile(end, (1, BINS, 1)), start.astype(np.float64))[0, 0, 0]
    for _ in range(round(FORGETTING_S / posterior / HOP_S)):
        centres.process(np.tile(end, (BINS, 1)), np.ones(BINS, np.float32))
    way = np.linalg.norm(centres_of(centres)[0] - start[0]) / np.linalg.norm(end - start[0])
    assert way == pytest.approx(1 - np.exp(-1), abs=0.02)
    centres.reset()
    np.testing.assert_array_equal(centres_of(centres), start)


# --------------------------------------------------------------------------------------------- from a file to a sound


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Talkers, of any number, and speech in noise, which are two; to cluster only."""
    folder = tmp_path_factory.mktemp("bands")
    make_bands(folder / "talkers-look-back-fp32.onnx")
    make_bands(folder / "noise-look-back-fp32.onnx", "noise", ("speech", "noise"))
    return {"bank": str(folder), "precision": "fp32", "method": "clusters"}


def level_db(sound: Block) -> float:
    return float(10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-20))


def test_three_sources_are_named_found_and_add_up(bank: dict[str, object]) -> None:
    sources = bands(0, 16_000)
    result = streamsep.separate(sources.sum(0), 16_000, domain="talkers", models=bank | {"sources": 3})
    assert list(result.sources) == ["talker-1", "talker-2", "talker-3"]
    assert result.manifests["talkers"].sources == ("talker", "talker", "talker")
    np.testing.assert_allclose(sum(result.sources.values()), sources.sum(0), atol=1e-6)
    for estimate, source in zip(result.sources.values(), sources, strict=True):
        assert level_db(estimate - source) < level_db(source) - 10


@settings(max_examples=8, deadline=None)
@given(gains_db=st.permutations([0.0, -20.0, -40.0]), seed=seeds)
def test_three_gains_act_on_three_slots(bank: dict[str, object], gains_db: list[float], seed: int) -> None:
    sound = noise(seed, 4000, peak=0.4)
    names = ["talker-1", "talker-2", "talker-3"]
    options = {
        "domain": "talkers",
        "models": bank | {"sources": 3},
        "gains_db": dict(zip(names, gains_db, strict=True)),
    }
    with streamsep.load(**options) as engine:
        heard, sources = hear(engine, sound)
        assert engine.sources == tuple(names)
    wanted = np.tensordot(10 ** (np.array(gains_db) / 20), sources, 1)
    np.testing.assert_allclose(heard, wanted, atol=1e-6)
    assert min(map(level_db, sources)) > -60


def test_two_sources_go_over_to_three_and_every_mask_lies_between(
    bank: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = noise(0, 2 * SECOND * FRONT.hop)
    separators = open_bank(**bank, sources=3).separators()
    old, new = Recorder(separators["noise"]), Recorder(separators["talkers"])
    gains_db = {"speech": 0.0, "noise": -20.0, "talker-1": -40.0, "talker-2": 0.0, "talker-3": -20.0}
    engine = make_engine(old, new, gains_db=gains_db, fade_ms=200.0, warm_up_ms=100.0)
    totals: list[Array] = []

    def noting(spectrum: Array, mask: Array, out: Array) -> None:
        totals.append(mask.copy())
        apply(spectrum, mask, out)

    monkeypatch.setattr(window_path, "apply", noting)
    assert engine.sources == ("speech", "noise")
    engine.process(sound[: 40 * FRONT.hop])
    engine.select("b")
    engine.process(sound[40 * FRONT.hop :])
    assert engine.sources == ("talker-1", "talker-2", "talker-3")
    begin, end, warm_up = 65, 115, 25
    first = np.tensordot(np.stack(old.masks), [1, 0.1], (1, 0))[begin:end]
    arranged = np.stack(new.masks)[:, engine._hand_over.active.order]
    second = np.tensordot(arranged, [0.01, 1, 0.1], (1, 0))[warm_up : warm_up + 50]
    middle = np.stack(totals)[begin:end]
    assert np.all(np.minimum(first, second) - 1e-9 <= middle)
    assert np.all(middle <= np.maximum(first, second) + 1e-9)
    assert np.abs(first - second).mean() > 0.1


@pytest.mark.parametrize("channels", [1, 2])
def test_the_command_writes_a_file_for_each_of_three(bank: dict[str, object], tmp_path: Path, channels: int) -> None:
    sound = bands(1, 8000).sum(0)[:, None] * np.linspace(1, 0.5, channels)
    files.write(tmp_path / "in.wav", sound.astype(np.float32), 16_000)
    changes = [f"--set=models.{key}={value}" for key, value in (bank | {"sources": 3}).items()]
    where = ["-o", str(tmp_path / "out"), "--domain", "talkers", "--json"]
    done = CliRunner().invoke(app, ["separate", str(tmp_path / "in.wav"), *where, *changes], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    names = [f"talker-{number}" for number in (1, 2, 3)]
    assert {path.stem for path in (tmp_path / "out").glob("*.wav")} == {"listen", *names}
    summary = json.loads(done.stdout)
    assert (summary["sources"], list(summary["gains_db"])) == (names, names)
    assert summary["models"]["talkers"]["name"] == "talkers-look-back-fp32"
    found = [files.read(tmp_path / "out" / f"{name}.wav")[0] for name in names]
    np.testing.assert_allclose(sum(found), files.read(tmp_path / "in.wav")[0], atol=1e-3)
    listed = CliRunner().invoke(app, ["models", *changes, "--json"], catch_exceptions=False)
    assert {entry["domain"]: len(entry["sources"]) for entry in json.loads(listed.stdout)} == {
        "noise": 2,
        "talkers": 3,
    }


@pytest.mark.parametrize("look_ahead", [0, 3])
def test_hop_by_hop_it_is_what_its_graph_and_its_centres_give(tmp_path: Path, look_ahead: int) -> None:
    path = make_graph(tmp_path / "a.onnx", "look-back", look_ahead=look_ahead, centres=CENTRES)
    manifest, separator = open_clustered(path)
    assert isinstance(separator, Separator)
    assert (separator.sources, separator.look_ahead, separator.bins) == (manifest.sources, look_ahead, BINS)
    hops = hops_of(FRONT, noise(3, 200 * FRONT.hop))
    embeddings, state = (batch := Batch(path)).run(hops.spectra, batch.start())
    late = np.concatenate([np.zeros((look_ahead, BINS)), np.abs(hops.spectra)])[: len(hops.spectra)]
    wanted, centres, _ = obvious(np.array(CENTRES[2], np.float32), embeddings, late)
    np.testing.assert_allclose(step_through(separator, hops), wanted, atol=1e-4)
    found = separator.state()
    np.testing.assert_allclose(found["clusters.centres"], centres, atol=1e-4)
    np.testing.assert_allclose(found["mean"], state["mean"], rtol=1e-4)
    with pytest.raises(ModelError, match=r"state.clusters.centres: expected shape \(2, 2\), got \(3, 2\)"):
        separator.set_state(found | {"clusters.centres": np.zeros((3, 2), np.float32)})
    with pytest.raises(ModelError, match=r"state: expected \['clusters.centres', .*, got \['mean'\]"):
        separator.set_state({"mean": found["mean"]})


def test_a_graph_of_the_other_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"a\.onnx: graph: expected a 'look-back' graph, got 'step'"):
        open_clustered(make_graph(tmp_path / "a.onnx"))
    with pytest.raises(ModelError, match=r"b\.onnx: graph: expected a 'step' graph, got 'look-back'"):
        open_graph(make_graph(tmp_path / "b.onnx", "look-back"), "step")


@pytest.mark.parametrize(
    ("centres", "said"),
    [
        ({"2": [[1, 0]]}, r"centres\.2 must be 2 lists of embedding_dims=2 numbers, got lists of \[2\]"),
        ({"2": [[1, 0], [0, 1, 0]]}, r"centres\.2 must be 2 lists .* got lists of \[2, 3\]"),
        ({"2": [[1, 0], [0, 2]]}, r"centres\.2\.1\.1: Input should be less than or equal to 1, got 2"),
        ({"2": [[1, 0], [0, None]]}, r"centres\.2\.1\.1: .*got None"),
        ({"0": []}, r"centres\.0.*greater than or equal to 1"),
        ({"two": [[1, 0], [0, 1]]}, r"centres\.two.*valid integer"),
    ],
)
def test_centres_of_another_shape_are_refused(centres: dict[str, object], said: str) -> None:
    with pytest.raises(ModelError, match=rf"^a\.onnx: .*{said}"):
        parse_manifest(json.dumps(MANIFEST | {"centres": centres}), "a.onnx")
    with pytest.raises(ModelError, match="centres"):
        parse_manifest(json.dumps(MANIFEST | {"centres": {2: [[float("nan"), 0], [0, 1]]}}), "a.onnx")


def test_what_centres_a_manifest_has_it_says_again() -> None:
    manifest = parse_manifest(json.dumps(MANIFEST | {"centres": CENTRES}), "a.onnx")
    assert manifest.centres[3][2] == (0.6, 0.6)
    assert parse_manifest(manifest.model_dump_json(), "b.onnx") == manifest


def test_a_number_of_sources_that_cannot_be_is_refused_with_what_can(bank: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"models\.sources: .*talkers-look-back-fp32\.onnx has centres for \[2, 3\]"
    ):
        streamsep.load(domain="talkers", models=bank | {"sources": 4})
    with pytest.raises(ConfigError, match=r"models\.sources: .*greater than or equal to 2, got 1"):
        streamsep.load(domain="talkers", models=bank | {"sources": 1})
    with pytest.raises(ConfigError, match=r"models\.method: .*'masks' or 'clusters', got 'magic'"):
        streamsep.load(domain="talkers", models=bank | {"method": "magic"})
    make_bands(tmp_path / "noise-look-back-fp32.onnx", "noise", ("speech", "noise"))
    make_model(tmp_path / "talkers-step-fp32.onnx", "talkers", ("talker", "talker"))
    only = bank | {"bank": str(tmp_path)}
    with pytest.raises(ConfigError, match=r"got 3, but only sources of one role .* this bank has \['noise'\]"):
        streamsep.load(domain="noise", models=only | {"sources": 3})
    by_masks = only | {"method": "masks"}
    with pytest.raises(
        ConfigError, match=r"talkers-step-fp32\.onnx has masks for 2 sources, got 3; .*method: clusters"
    ):
        streamsep.load(domain="talkers", models=by_masks | {"sources": 3})
    with streamsep.load(domain="talkers", models=by_masks | {"sources": 2}) as engine:
        assert engine.sources == ("talker-1", "talker-2")
    make_bands(tmp_path / "noise-look-back-fp32.onnx", "noise", ("speech", "noise"), centres={})
    with pytest.raises(ModelError, match=r"noise-look-back-fp32\.onnx: centres: .*it has none"):
        streamsep.load(domain="noise", models=only)
    with pytest.raises(ModelError, match=r"expected files named DOMAIN-look-back-int8\.onnx"):
        streamsep.load(domain="noise", models=only | {"precision": "int8"})
