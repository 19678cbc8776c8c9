"""To choose a model: the oracle is never worse, and random is what a choice by lot gives on average."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from streamsep.report.picking import (
    KNOWN,
    Outcome,
    confusion,
    ensembles,
    outcome,
    picked,
    picks,
    precision_and_recall,
    told,
)

MODELS = ("environment", "music", "speech")
FIGURES = st.floats(-30, 30)
SCORES = st.one_of(st.floats(-1, 1), st.just(float("nan")))
LISTS = st.integers(1, 12)


@st.composite
def outcomes(draw: st.DrawFn) -> Outcome:
    mixtures = draw(LISTS)
    shape = mixtures, len(MODELS)
    return Outcome(
        MODELS,
        tuple(draw(st.lists(st.sampled_from(MODELS), min_size=mixtures, max_size=mixtures))),
        tuple((f"{number}-a", f"{number}-b") for number in range(mixtures)),
        {"sd_sdr_db": draw(arrays(np.float64, shape, elements=FIGURES))},
        {"sd_sdr_db": np.zeros(mixtures)},
        {"confidence": draw(arrays(np.float64, shape, elements=SCORES))},
    )


@given(outcomes())
def test_the_oracle_is_at_least_as_good_as_anything_and_random_lies_between(found: Outcome) -> None:
    every = ensembles(found, "sd_sdr_db")
    for values in every.values():
        assert (every["oracle"] >= values - 1e-9).all()
    worst = found.ratios["sd_sdr_db"].min(axis=1)
    assert (every["random"] >= worst - 1e-9).all()
    assert {"oracle", "random", KNOWN, *(f"only {model}" for model in MODELS)} <= every.keys()
    assert ("confidence" in every) == ("confidence" in told(found))


@settings(max_examples=10)
@given(outcomes(), st.integers(0, 2**32 - 1))
def test_random_is_what_many_draws_give_on_average(found: Outcome, seed: int) -> None:
    values = found.ratios["sd_sdr_db"]
    draws = np.random.default_rng(seed).integers(len(MODELS), size=(4000, len(values)))
    means = values[np.arange(len(values)), draws].mean(axis=1)
    expected = ensembles(found, "sd_sdr_db")["random"].mean()
    assert abs(means.mean() - expected) <= 6 * means.std() / np.sqrt(len(draws)) + 1e-9


@given(outcomes())
def test_the_domains_own_model_is_what_it_gives_to_know_the_domain(found: Outcome) -> None:
    every = ensembles(found, "sd_sdr_db")
    for at, domain in enumerate(found.domains):
        assert every[KNOWN][at] == every[f"only {domain}"][at]


@given(outcomes())
def test_every_mixture_that_was_judged_is_in_the_confusion_once(found: Outcome) -> None:
    scores = found.scores["confidence"]
    counts = confusion(found, "sd_sdr_db", scores)
    judged = ~np.isnan(scores).all(axis=1)
    assert counts.sum() == judged.sum()
    oracle = picks(found.ratios["sd_sdr_db"])
    assert counts.sum(axis=1).tolist() == [int((oracle[judged] == model).sum()) for model in range(len(MODELS))]
    precision, recall = precision_and_recall(counts)
    assert np.nan_to_num(precision * counts.sum(axis=0)).sum() == np.trace(counts)
    assert np.nan_to_num(recall * counts.sum(axis=1)).sum() == np.trace(counts)


@given(outcomes())
def test_where_no_model_says_anything_the_choice_is_by_lot(found: Outcome) -> None:
    nobody = np.full(found.scores["confidence"].shape, np.nan)
    values = found.ratios["sd_sdr_db"]
    assert np.array_equal(picked(values, picks(nobody)), values.mean(axis=1))


def test_an_outcome_holds_every_row_where_it_belongs() -> None:
    rows = [
        {
            "mixture": f"mix-{number}", "domain": domain, "model": model, "way": way, "source": source,
            "groups": [f"{domain}-{number}-a", "b"], "sd_sdr_db": 10.0 * number + at + source,
            "si_sdr_db": 0.0, "sdr_db": 0.0, "mixture_sd_sdr_db": 1.0, "mixture_si_sdr_db": 0.0,
            "mixture_sdr_db": 0.0, "confidence": 0.1 * at, "own_db": None, "promised_db": None,
        }
        for domain in MODELS
        for number in range(2)
        for at, model in enumerate(MODELS)
        for way in ("whole", "streaming")
        for source in (0, 1)
    ]  # fmt: skip
    rows[1]["sd_sdr_db"] = None  # of the whole, in the first mixture, by the first model
    found = outcome(rows, "whole")
    assert found.models == MODELS
    assert found.ratios["sd_sdr_db"][1].tolist() == [10.5, 11.5, 12.5]
    assert found.ratios["sd_sdr_db"][0, 0] == 0.0  # the mean of what is there
    assert list(told(found)) == ["confidence"]
    some = found.among(["speech", "music"])
    assert some.domains == ("music", "music", "speech", "speech")
    assert some.ratios["sd_sdr_db"][0].tolist() == [2.5, 1.5]
