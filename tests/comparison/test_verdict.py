import pytest

from neurodyn.comparison.verdict import ahead, mean_and_spread, verdict


def runs(**accuracies):
    return [
        {"neuron": neuron, "score": accuracy, "seed": seed}
        for neuron, values in accuracies.items()
        for seed, accuracy in enumerate(values)
    ]


def test_ahead_means_by_more_than_both_spreads():
    assert ahead((92.0, 1.0), (90.0, 1.9))
    assert not ahead((92.0, 1.0), (90.0, 2.0))
    assert not ahead((92.0, 2.0), (90.0, 0.0))
    assert not ahead((90.0, 0.1), (92.0, 0.1))


def test_mean_and_spread():
    assert mean_and_spread([90.0, 92.0, 94.0]) == (92.0, 2.0)
    assert mean_and_spread(iter([90.0])) == (90.0, 0.0)


@pytest.mark.parametrize(
    ("accuracies", "found"),
    [
        (
            {"lif": (80, 81), "lnm": (90, 91.5), "qif": (89, 92), "plif": (80.5, 82)},
            "lnm is ahead of plif by 9.5 points (by seed 9.5 to 9.5) and lif by 10.2 points (by "
            "seed 10.0 to 10.5), and level with qif. qif is ahead of plif and lif. plif is level "
            "with lif.",
        ),
        (
            {"lif": (80, 81), "lnm": (90, 93)},
            "lnm is ahead of lif by 11.0 points (by seed 10.0 to 12.0).",
        ),
        ({"lif": (80, 90), "lnm": (90, 91)}, "lnm is level with lif."),
    ],
)
def test_in_words(accuracies, found):
    assert verdict(runs(**accuracies)) == [found]


def test_only_the_seeds_that_both_have_are_paired():
    results = [*runs(lnm=(90, 92, 97)), *({**run, "seed": 5} for run in runs(lif=(70,)))]
    results += [{"neuron": "lif", "score": 80, "seed": 1}]
    assert verdict(results) == ["lnm is ahead of lif by 18.0 points."]


def test_many_contenders_are_counted_and_not_named():
    others = {f"n{i}": (80, 81) for i in range(10)}
    assert verdict(runs(lnm=(90, 91), lif=(89, 93), **others)) == [
        "lif has the highest mean. It is ahead of 10 of the 11 others."
    ]


def test_of_more_than_a_few_only_the_best_gets_a_sentence():
    others = {f"n{i}": (80 - i, 81 - i) for i in range(5)}
    (found,) = verdict(runs(lnm=(90, 91), **others))
    assert found.startswith("lnm is ahead of n0 by 10.0 points (by seed 10.0 to 10.0), n1 by")
    assert found.count(" is ") == 1


def test_one_seed_has_no_spread_and_no_verdict():
    assert verdict(runs(lif=(80, 81), lnm=(99,))) == []
    assert verdict(runs(lif=(80, 81), lnm=(99,), qif=(70, 71))) == [
        "lif is ahead of qif by 10.0 points (by seed 10.0 to 10.0)."
    ]
