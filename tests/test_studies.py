"""Short trainings on one budget: resumable, equal where they should be, and what they found stands in the report."""

import csv
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_data import make_data

from export import studies
from export.corpus import RATE
from export.mixtures import RECIPES
from export.studies import ACTIVATIONS, DOMAINS, TARGETS, Studied, Variant, run, strongest_first, trained, variants
from streamsep.report.trained import DIMS, Trained, figures

torch.set_num_threads(1)

TITLES = {
    "offline": "ensemble", "causal": "price", "live": "price", "embeddings": "dimensions", "targets": "Why cluster",
}  # fmt: skip
TINY = replace(
    studies.OFFLINE, recipe="environment", hidden=8, layers=1, dims=4, window=64, synthesis=32, hop=16, steps=4,
    batch=2, seconds=0.1,
)  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Clips to train on, and a test mixture of two events."""
    folder = make_data(tmp_path / "data")
    with open(folder / "mixtures.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["mixture", "domain", "split", "slot", "path", "start", "samples", "gain"])
        table.writerows([["e", "environment", "test", slot, f"{'gh'[slot]}.wav", 0, RATE, 1.0] for slot in (0, 1)])
    return folder


def start(seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return Studied(TINY.shape(), "tanh", False).state_dict()


@pytest.mark.parametrize("target", TARGETS)
def test_a_training_that_was_stopped_goes_on_as_if_nothing_had_been(
    target: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "CHECKPOINT_EVERY", 2)
    mixer = RECIPES["environment"](data, "train", tmp_path / "cache")
    variant = Variant("one", "offline", TINY, target, both_ways=True)
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = trained(variant, mixer, tmp_path / "whole", {})
    with monkeypatch.context() as stopping:
        batch = mixer.batch
        stopping.setattr(mixer, "batch", lambda seed, step, *rest: batch(seed, step, *rest) if step < 4 else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            trained(variant, mixer, tmp_path / "parts", {})
    resumed = trained(variant, mixer, tmp_path / "parts", {})
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    with pytest.raises(ValueError, match=r"one\.pt.*another budget"):
        trained(replace(variant, activation="tanh"), mixer, tmp_path / "parts", {})


def test_what_begins_with_other_weights_learns_an_embedding_head_and_nothing_else(data: Path, tmp_path: Path) -> None:
    mixer = RECIPES["environment"](data, "train", tmp_path / "cache")
    found = trained(Variant("two", "embeddings", replace(TINY, dims=6), started=True), mixer, tmp_path, start())
    torch.manual_seed(TINY.seed)
    new = Studied(replace(TINY, dims=6).shape(), "sigmoid", False).state_dict()
    for name, value in found.state_dict().items():
        before = new if name.startswith("embedding_head") else start()
        assert torch.equal(value, before[name]) != name.startswith("embedding_head"), name


@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_only_networks_that_run_both_ways_know_what_comes(activation: str, both_ways: bool) -> None:
    torch.manual_seed(3)
    net = Studied(TINY.shape(), activation, both_ways)
    sound = torch.randn(1, 9, TINY.window // 2 + 1, 2)
    other = sound.clone()
    other[:, 5:] *= 3
    with torch.no_grad():
        first, second = (net.embeddings(net(each, net.start(1))[0])[0] for each in (sound, other))
    assert torch.allclose(first[:5], second[:5], atol=1e-6) != both_ways
    assert torch.allclose(first.square().sum(-1), torch.ones(()))
    assert bool((first >= 0).all()) == (activation == "sigmoid")


def test_the_strongest_source_comes_first() -> None:
    sources = torch.randn(5, 3, 40) * torch.rand(5, 3, 1)
    energy = strongest_first(sources).square().sum(-1)
    assert torch.equal(energy, sources.square().sum(-1).sort(-1, descending=True).values)


def test_networks_that_are_compared_have_one_budget() -> None:
    every = variants()
    assert len({one.name for one in every}) == len(every)
    for one in every:
        one.recipe.check()
    heads = [one for one in every if one.study == "embeddings"]
    assert {(one.activation, one.recipe.dims) for one in heads} == {
        (kind, dims) for kind in ACTIVATIONS for dims in DIMS
    }
    for group in (heads, [one for one in every if one.study != "embeddings"]):
        assert len({(one.recipe.steps, one.recipe.batch, one.recipe.seconds, one.recipe.seed) for one in group}) == 1


def test_figures_are_measured_once_and_kept(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    todo = [
        Variant("clusters", "offline", TINY, both_ways=True, domains=("environment",)),
        Variant("target-strongest", "targets", TINY, "strongest", both_ways=True, domains=("environment",)),
    ]
    monkeypatch.setattr(studies, "variants", lambda: todo)
    assert list(run(todo, data, tmp_path / "out", {}, 1)) == todo
    studies.write(tmp_path / "first.json", tmp_path / "out", data)
    monkeypatch.setattr(studies, "trained", lambda *_: 1 / 0)
    assert list(run(todo, data, tmp_path / "out", {}, 1)) == todo
    studies.write(tmp_path / "again.json", tmp_path / "out", data)
    assert (tmp_path / "first.json").read_bytes() == (tmp_path / "again.json").read_bytes()
    clusters, targets = [
        studies.summary(one, studies.rows_of(tmp_path / "out" / f"{one.name}.json", data) or []) for one in todo
    ]
    assert set(clusters["figures"]) >= {"environment.oracle.sdri_db", "environment.global.sd_sdr_db"}
    assert set(targets["figures"]) >= {"environment.masks.si_sdri_db"}
    assert clusters["mixtures"] == 1
    assert clusters["minutes"] == pytest.approx(4 * 2 * 0.1 / 60)


def test_a_price_is_paid_mixture_by_mixture() -> None:
    figures_db = {"offline": {"a": 3.0, "b": 5.0}, "causal": {"b": 4.0, "a": 2.5}}
    offline, causal = (
        [
            {"mixture": name, "groups": [name], **{way: {"sdri_db": db} for way in ("oracle", "global")}}
            for name, db in of
        ]
        for of in (each.items() for each in figures_db.values())
    )
    for paid in studies.price(causal, offline).values():
        assert paid["mean"] == pytest.approx(0.75)
        assert 0.5 <= paid["low"] <= paid["high"] <= 1


def test_an_ensemble_lies_between_its_models_and_its_oracle() -> None:
    random = np.random.default_rng(1)
    rows = {
        model: [
            {"mixture": f"{domain}-{n}", "domain": domain, "groups": [f"{n}"], "confidence": random.normal(),
             "global": {"sd_sdr_db": random.normal()}}
            for domain in DOMAINS for n in range(4)
        ]
        for model in DOMAINS
    }  # fmt: skip
    for picks in studies.ensemble(rows, "sd_sdr_db").values():
        means = {pick: found["mean"] for pick, found in picks.items()}
        single = [means[f"{model} model"] for model in DOMAINS]
        assert means["random"] == pytest.approx(np.mean(single))
        assert means["oracle"] >= max(*single, means["confidence"])


def test_the_report_shows_every_network_that_was_trained_with_its_budget() -> None:
    found = figures()
    known = {one.name: one for one in variants()}
    assert found["networks"]
    for network in found["networks"]:
        recipe = known[network["name"]].recipe
        assert (network["steps"], network["examples"]) == (recipe.steps, recipe.steps * recipe.batch)
    section = Trained().section([], {})
    titles = " ".join(table.title for table in section.tables)
    for network in found["networks"]:
        assert TITLES[network["study"]] in titles
    assert f"{found['networks'][0]['steps']} steps" in " ".join(section.text)
    for table in section.tables:
        assert table.rows
        assert all(len(row) == len(table.columns) for row in table.rows)
    assert asdict(section)["numbers"]["networks"] == found["networks"]
