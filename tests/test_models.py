"""Model files: what is right is opened and runs, what is wrong is refused with the file, the field and the values."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FRONT
from graphs import BINS, CENTRES, MANIFEST, make_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from small_bank import make_model
from strategies import noise

from streamsep.errors import ModelError
from streamsep.evaluation.references import reference
from streamsep.models.bank import ZOO, look_back_graphs, make_bank, open_bank, open_look_backs
from streamsep.models.laws import subject_of
from streamsep.models.loader import Batch, open_model, read_manifest
from streamsep.models.manifest import Manifest, parse_manifest
from streamsep.models.subject import Subject, hops_of, step_through
from streamsep.realtime.contract import Separator

HOPS = hops_of(FRONT, noise(0, 60 * FRONT.hop))


# ---------------------------------------------------------------------------------------------------- the manifest


@settings(max_examples=30, deadline=None)
@given(
    rate=st.integers(8000, 48_000),
    sources=st.lists(st.from_regex(r"\A[a-z][a-z0-9-]{0,8}\Z"), min_size=1, max_size=4),
    shapes=st.dictionaries(st.from_regex(r"\A[a-z][a-z0-9_]{0,8}\Z"), st.lists(st.integers(1, 9), max_size=3)),
    notes=st.text(),
)
def test_a_manifest_says_in_a_file_what_it_said(
    rate: int, sources: list[str], shapes: dict[str, list[int]], notes: str
) -> None:
    said = MANIFEST | {"sample_rate": rate, "sources": sources, "states": shapes, "notes": notes}
    manifest = parse_manifest(json.dumps(said), "a.onnx")
    assert (manifest.sample_rate, list(manifest.sources), manifest.notes) == (rate, sources, notes)
    assert manifest.front_end.bins == BINS
    assert manifest.state_size == sum(int(np.prod(shape)) for shape in shapes.values())
    assert parse_manifest(manifest.model_dump_json(), "b.onnx") == manifest


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("format", 2, "format: Input should be 1, got 2"),
        ("domain", "Noise!", "domain: .*pattern.* got 'Noise!'"),
        ("graph", "sequence", "graph: Input should be 'step' or 'look-back', got 'sequence'"),
        ("precision", "fp16", "precision: .*got 'fp16'"),
        ("sample_rate", 4000, "sample_rate: .*greater than or equal to 8000, got 4000"),
        ("sample_rate", "16k", "sample_rate: .*integer.* got '16k'"),
        ("hop", 0, "hop: .*got 0"),
        ("hop", 60, "hop must divide window"),
        ("synthesis_window", 1024, "synthesis=1024"),
        ("window", 513, "513"),
        ("look_ahead", -1, "look_ahead: .*got -1"),
        ("sources", [], "sources: .*at least 1"),
        ("sources", ["speech", "Noise"], r"sources\.1: .*got 'Noise'"),
        ("embedding_dims", 0, "embedding_dims"),
        ("states", {"mean": [0]}, r"states\.mean\.0: .*got 0"),
        ("states", {"Mean": [1]}, "states"),
        ("licence", "", "licence"),
        ("colour", "blue", "colour: Extra inputs are not permitted, got 'blue'"),
    ],
)
def test_a_manifest_with_a_wrong_field_is_refused_with_field_and_value(
    tmp_path: Path, field: str, value: object, said: str
) -> None:
    path = make_graph(tmp_path / "a.onnx", metadata=json.dumps(MANIFEST | {field: value}))
    with pytest.raises(ModelError, match=said) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "field", sorted({"format", "domain", "version", "graph", "sample_rate", "sources", "licence"})
)
def test_a_manifest_without_a_field_is_refused_with_its_name(field: str) -> None:
    with pytest.raises(ModelError, match=f"^a.onnx: .*{field}: Field required"):
        parse_manifest(json.dumps({key: value for key, value in MANIFEST.items() if key != field}), "a.onnx")


@pytest.mark.parametrize("metadata", ["", "[]", "{", "null", '{"format": 1}'])
def test_a_manifest_that_is_no_manifest_is_refused(metadata: str) -> None:
    with pytest.raises(ModelError, match=r"a\.onnx: streamsep\.manifest is not valid"):
        parse_manifest(metadata, "a.onnx")


# ---------------------------------------------------------------------------------------------------------- the file


def test_a_step_graph_becomes_a_separator(tmp_path: Path) -> None:
    manifest, separator = open_model(make_graph(tmp_path / "a.onnx"))
    assert isinstance(separator, Separator)
    assert isinstance(manifest, Manifest)
    assert (separator.sources, separator.bins, separator.look_ahead) == (("speech", "noise"), BINS, 0)
    mean, wanted = np.zeros(BINS), []
    for power in np.square(np.abs(HOPS.spectra)) + 1e-12:
        mean = 0.9 * mean + 0.1 * power
        wanted.append(power / (power + mean))
    masks = step_through(separator, HOPS)
    np.testing.assert_allclose(masks[:, 0], wanted, atol=1e-5)
    np.testing.assert_allclose(separator.state()["mean"][0], mean, rtol=1e-4)


@pytest.mark.parametrize("hops", [0, 1, 4, 7])
def test_a_state_goes_out_and_comes_in_after_any_number_of_hops(tmp_path: Path, hops: int) -> None:
    first, second = (open_model(make_graph(tmp_path / "a.onnx"))[1] for _ in range(2))
    before, after = (type(HOPS)(*(array[part] for array in HOPS)) for part in (slice(hops), slice(hops, None)))
    for frame in before.spectra:
        first.process(frame[None], np.zeros((1, 64)))
    state = first.state()
    kept = state["mean"].copy()
    for frame in HOPS.spectra[:3]:
        second.process(frame[None], np.zeros((1, 64)))
    second.set_state(state)
    np.testing.assert_array_equal(step_through(second, after), step_through(first, after))
    np.testing.assert_array_equal(state["mean"], kept)
    second.reset()
    assert not second.state()["mean"].any()


def test_a_state_of_another_model_is_refused_and_nothing_is_taken_over(tmp_path: Path) -> None:
    _, separator = open_model(make_graph(tmp_path / "a.onnx"))
    separator.process(HOPS.spectra[-1:], np.zeros((1, 64)))
    before = separator.state()
    with pytest.raises(ModelError, match=r"state: expected \['mean'\], got \['hidden', 'mean'\]"):
        separator.set_state(before | {"hidden": np.zeros(1, np.float32)})
    with pytest.raises(ModelError, match=r"state.mean: expected shape \(1, 257\), got \(257,\)"):
        separator.set_state({"mean": np.zeros(BINS, np.float32)})
    np.testing.assert_array_equal(separator.state()["mean"], before["mean"])


@pytest.mark.parametrize("channels", [2, 3])
def test_masks_come_from_the_mean_of_the_channels(tmp_path: Path, channels: int) -> None:
    model = make_model(tmp_path / "a-step-fp32.onnx", "a", ("speech", "noise"))  # its masks depend on the level
    (_, mono), (_, many) = open_model(model), open_model(model)
    random = np.random.default_rng(0)
    spectra = random.normal(size=(channels, BINS)) + 1j * random.normal(size=(channels, BINS))
    wanted = mono.process(spectra.mean(axis=0, keepdims=True), np.zeros((1, 64)))
    np.testing.assert_allclose(many.process(spectra, np.zeros((channels, 64))), wanted, atol=1e-6)
    assert wanted.std() > 0.1


@pytest.mark.parametrize("kind", ["step", "look-back"])
def test_a_graph_over_many_frames_continues_where_it_was(tmp_path: Path, kind: str) -> None:
    batch = Batch(make_graph(tmp_path / "a.onnx", kind))
    whole, end = batch.run(HOPS.spectra, batch.start())
    assert whole.shape == ((60, 2, BINS) if kind == "step" else (60, BINS, 2))
    first, state = batch.run(HOPS.spectra[:17], batch.start())
    second, state = batch.run(HOPS.spectra[17:], state)
    np.testing.assert_allclose(np.concatenate([first, second]), whole, atol=1e-6)
    np.testing.assert_allclose(state["mean"], end["mean"], rtol=1e-5)


def test_what_is_no_model_file_is_refused_by_name(tmp_path: Path) -> None:
    text, cut = tmp_path / "text.onnx", make_graph(tmp_path / "cut.onnx")
    text.write_text("this is not a model\n" * 50)
    cut.write_bytes(cut.read_bytes()[:5000])
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(ModelError, match=r"missing\.onnx: no such model file"):
        open_model(tmp_path / "missing.onnx")
    with pytest.raises(ModelError, match="expected a model file, found a folder"):
        open_model(tmp_path)
    for path in (text, cut, tmp_path / "empty.onnx"):
        with pytest.raises(ModelError, match="not a model that ONNX Runtime can open") as caught:
            open_model(path)
        assert str(caught.value).startswith(str(path))
    with pytest.raises(ModelError, match=r"no manifest: expected JSON under the metadata key 'streamsep\.manifest'"):
        open_model(make_graph(tmp_path / "silent.onnx", metadata=None))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"rename": {"spectrum": "frames_in"}},
            r"inputs: the manifest asks for \['spectrum', 'state.mean'\], the graph",
        ),
        (
            {"rename": {"masks": "mask"}},
            r"outputs: the manifest asks for \['masks', 'next.mean'\], the graph has \['mask'",
        ),
        ({"states": {}}, r"inputs: .*the graph has \['spectrum', 'state.mean'\]"),
        ({"states": {"mean": [1, BINS], "more": [2]}}, r"inputs: .*'state.more'\], the graph has"),
        ({"states": {"mean": [BINS]}}, r"input state.mean: the manifest asks for \(257,\), the graph has \[1, 257\]"),
        ({"sources": ["a", "b", "c"]}, r"output masks: the manifest asks for \(None, 3, 257\), the graph has"),
        ({"window": 1024}, r"input spectrum: the manifest asks for \(None, 513, 2\), the graph has"),
        ({"double": True}, r"input spectrum: expected float32, the graph has tensor\(double\)"),
    ],
)
def test_a_graph_that_is_not_what_its_manifest_says_is_refused(
    tmp_path: Path, wrong: dict[str, object], said: str
) -> None:
    path = make_graph(tmp_path / "a.onnx", **wrong)  # type: ignore[arg-type]
    for opened in (open_model, Batch):
        with pytest.raises(ModelError, match=said) as caught:
            opened(path)
        assert str(path) in str(caught.value)


def test_a_look_back_graph_is_no_separator(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="graph: expected a 'step' graph, got 'look-back'"):
        open_model(make_graph(tmp_path / "a.onnx", "look-back"))
    with pytest.raises(ModelError, match=r"output embeddings: the manifest asks for \(None, 257, 3\)"):
        Batch(make_graph(tmp_path / "b.onnx", "look-back", embedding_dims=3))


def test_a_graph_that_opens_but_cannot_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"a\.onnx: the graph cannot be run: "):
        open_model(make_graph(tmp_path / "a.onnx", stuck=True))


# ----------------------------------------------------------------------------------------------------------- the bank


def test_a_bank_has_every_domain_of_its_folder_by_the_alphabet(tmp_path: Path) -> None:
    for domain in ("talkers", "music", "noise"):
        make_graph(tmp_path / f"{domain}-step-fp32.onnx", domain=domain)
        make_graph(tmp_path / f"{domain}-look-back-fp32.onnx", "look-back", domain=domain)
    bank = open_bank(str(tmp_path), "fp32")
    assert bank.domains == ("music", "noise", "talkers")
    assert bank.front_end == FRONT
    assert {domain: model.path.name for domain, model in bank.models.items()}["music"] == "music-step-fp32.onnx"
    assert bank.separators().keys() == set(bank.domains)


@pytest.mark.parametrize(
    ("field", "value"), [("sample_rate", 8000), ("synthesis_window", 256), ("hop", 32), ("embedding_dims", 20)]
)
def test_models_that_disagree_are_no_bank_and_field_and_values_are_named(
    tmp_path: Path, field: str, value: int
) -> None:
    paths = [
        make_graph(tmp_path / "a-step-fp32.onnx", domain="a"),
        make_graph(tmp_path / "b-step-fp32.onnx", domain="b", **{field: value}),
    ]
    said = rf"{field}: a-step-fp32\.onnx has {MANIFEST[field]}, b-step-fp32\.onnx has {value}"
    with pytest.raises(ModelError, match=said):
        make_bank(paths)


def test_a_bank_without_models_or_with_one_domain_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no such folder of models; models\.bank is 'zoo' or a folder"):
        open_bank(str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match=r"expected files named DOMAIN-step-int8\.onnx"):
        open_bank(str(tmp_path))
    with pytest.raises(ModelError, match="at least one model"):
        make_bank([])
    paths = [make_graph(tmp_path / f"{name}-step-fp32.onnx") for name in "ab"]
    with pytest.raises(ModelError, match=r"domain: b-step-fp32\.onnx and a-step-fp32\.onnx are both 'noise'"):
        make_bank(paths)


@pytest.mark.parametrize(
    ("kind", "other", "complaint"),
    [
        (
            "look-back",
            {"rename": {"state.mean": "state.level", "next.mean": "next.level"}, "states": {"level": [1, BINS]}},
            r"states: expected {'mean': \(1, 257\)} as in noise-step\.onnx, got {'level': \(1, 257\)}",
        ),
        ("look-back", {"synthesis_window": 256}, "front_end: expected .*128.* got .*256"),
        ("step", {}, "graph: expected look-back, got step"),
        ("look-back", {"version": "0.2"}, r"version: expected 0\.1 as in noise-step\.onnx, got 0\.2"),
        ("look-back", {"look_ahead": 7}, "look_ahead: expected 0 .* got 7"),
        ("look-back", {"sources": ["noise", "speech"]}, "sources: expected .*'speech', 'noise'.* got .*'noise', 's"),
        ("look-back", {"symmetric": True}, "symmetric: expected False .* got True"),
    ],
)
def test_a_look_back_graph_that_cannot_hand_over_to_its_model_is_named(
    tmp_path: Path, kind: str, other: dict[str, Any], complaint: str
) -> None:
    bank = make_bank([make_graph(tmp_path / "noise-step.onnx", domain="noise")])
    with pytest.raises(ModelError, match=r"noise-look-back\.onnx: no such file"):
        open_look_backs(bank)
    path = make_graph(tmp_path / "noise-look-back.onnx", "look-back", domain="noise")
    assert open_look_backs(bank)["noise"].manifest == read_manifest(path)
    make_graph(path, kind, **{"domain": "noise"} | other)
    with pytest.raises(ModelError, match=rf"noise-look-back\.onnx: {complaint}"):
        open_look_backs(bank)


def test_a_look_back_graph_of_other_embeddings_than_its_model_says_is_named(tmp_path: Path) -> None:
    bank = make_bank([make_graph(tmp_path / "noise-step.onnx", embedding_dims=3)])
    make_graph(tmp_path / "noise-look-back.onnx", "look-back")
    with pytest.raises(ModelError, match=r"embedding_dims: expected 3 as in noise-step\.onnx, got 2"):
        open_look_backs(bank)


@pytest.mark.parametrize("domain", ["foot-steps", "quick-step", "step", "look-back"])
def test_a_domain_may_be_called_by_a_word_that_file_names_have(tmp_path: Path, domain: str) -> None:
    make_graph(tmp_path / f"{domain}-step-fp32.onnx", domain=domain)
    path = make_graph(tmp_path / f"{domain}-look-back-fp32.onnx", "look-back", domain=domain, centres=CENTRES)
    for bank in (open_bank(str(tmp_path), "fp32"), open_bank(str(tmp_path), "fp32", "clusters")):
        assert look_back_graphs(bank) == {domain: path}
        assert open_look_backs(bank)[domain].manifest == read_manifest(path)
        reference("oracle-centres", bank.models[domain])
    subject = subject_of(tmp_path / f"{domain}-step-fp32.onnx")
    assert isinstance(subject, Subject)
    assert subject.look_back is not None


def test_the_files_of_the_zoo_are_named_for_what_they_are() -> None:
    for path in ZOO.glob("*.onnx"):
        manifest = read_manifest(path)
        assert path.stem == f"{manifest.domain}-{manifest.graph}-{manifest.precision}"
        assert manifest.training.data
        assert (ZOO / f"{manifest.domain}.md").is_file()
