"""The machinery of the checks: three outcomes, derived bounds that bite, named places, strangers that misbehave."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from right import PRIOR, TABLES, masked_float, prefix, prefix_float

from ddfm_theory.arrays import Symbol, to_float
from ddfm_theory.ledger.records import FAILS, HOLDS, UNDECIDED
from ddfm_theory.testing import checks
from ddfm_theory.testing.adapters import from_functions, from_table
from ddfm_theory.testing.checks import CHECKS, check_batch, check_filter, check_laws, check_router
from ddfm_theory.testing.checks import check_router_posterior as check_posterior
from ddfm_theory.testing.parametrize import (
    NonConformance,
    conforms,
    pairs,
    parametrize_with_checks,
    report,
)
from ddfm_theory.testing.registry import ALL
from ddfm_theory.testing.systems import Parts, load, offered

COINS = np.array([[0.75, 0.25], [0.25, 0.75]])


def coins(dtype="float64", **more):
    laws = COINS.astype(dtype)
    experts = [lambda rows, k=k: np.tile(laws[k], (len(rows), 1)) for k in range(2)]
    return from_functions("coins", experts, np.full(2, 0.5, dtype=dtype), vocabulary=2, length=4, **more)


# Three outcomes


def test_each_outcome_says_what_it_must():
    holds, fails, undecided = (
        check_router(prefix()),
        check_laws(off_by(1e-3)),
        check_filter(replace(prefix(), prior=None)),
    )
    assert (holds.outcome, holds.kind, holds.claim, holds.residual) == (HOLDS, "exact", "C08", "0")
    assert (fails.outcome, fails.kind) == (FAILS, "numeric")
    assert fails.note == "got 1.001, expected 1"
    assert float(fails.residual) > float(fails.bound) > 0
    assert (undecided.outcome, undecided.note) == (UNDECIDED, "the system offers no prior")


def off_by(size):
    system = prefix_float()
    return replace(system, experts=lambda t, rows: system.experts(t, rows) * (1 + size))


@pytest.mark.parametrize(
    "part", ["prior", "experts", "router", "mixture", "select", "gate", "tempered", "ragged", "sample"]
)
def test_a_part_that_is_missing_is_named_and_never_green_or_red(part):
    for name, check in report(replace(prefix_float(), **{part: None})).items():
        assert check.outcome != FAILS, (name, check)
        if check.outcome == UNDECIDED:
            assert part in check.note, (name, check)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_bare_system_is_undecided_everywhere(check):
    found = check(Parts("bare", 2, 2)), check(Parts("bare", 2, 2, "state"))
    assert {record.outcome for record in found} == {UNDECIDED}
    assert all(record.note for record in found)


def test_checks_are_plain_functions_with_names_and_docstrings():
    assert set(ALL) == {check.__name__ for check in CHECKS}
    assert all(check.__doc__ and check.__name__ in checks.__all__ for check in CHECKS)


# Bounds


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_bound_lets_rounding_pass_and_nothing_much_larger(dtype):
    right, unit = coins(dtype), float(np.finfo(dtype).eps)
    record = check_posterior(right)
    assert record.outcome == HOLDS
    bound = float(record.bound)
    assert 0 < bound < 2000 * unit

    def nudged(size):
        return replace(right, router=lambda t, rows: right.router(t, rows) * np.asarray(1 + size, dtype))

    assert check_posterior(nudged(unit)).outcome == HOLDS
    assert check_posterior(nudged(2000 * unit)).outcome == FAILS


def test_the_bound_follows_what_the_system_says_of_its_roundings():
    few, many = (float(check_posterior(coins(roundings=count)).bound) for count in (2, 200))
    assert few < many / 20


def test_a_bound_that_could_refute_nothing_decides_nothing():
    deep = coins("float32", roundings=10**7)
    nudged = replace(deep, router=lambda t, rows: deep.router(t, rows) * np.float32(1.25 if t else 1))
    record = check_posterior(nudged)
    assert record.outcome == UNDECIDED
    assert "no bound covers" in record.note


def test_coarser_answers_are_judged_by_their_own_precision():
    laws = torch.tensor(COINS, dtype=torch.float32)
    experts = [lambda rows, k=k: laws[k].repeat(len(rows), 1) for k in range(2)]
    system = from_functions("torch", experts, torch.tensor([0.5, 0.5]), vocabulary=2, length=4)
    found = report(system)
    assert {name: check.outcome for name, check in found.items() if check.outcome != UNDECIDED} == dict.fromkeys(
        ["check_laws", "check_router", "check_filter", "check_router_posterior", "check_one_expert",
         "check_permutation", "check_duplicates", "check_batch", "check_order"], HOLDS)  # fmt: skip


def test_a_filter_in_log_space_over_long_sequences_holds():
    def router(rows):
        counts = np.stack([(rows == token).sum(1) for token in range(2)])
        logs = np.log(0.5) + np.log(COINS) @ counts
        top = logs.max(0)
        return np.exp(logs - top - np.log(np.exp(logs - top).sum(0)))

    system = replace(coins(router=router), length=60)
    assert check_posterior(system, examples=8).outcome == HOLDS
    assert check_filter(system, examples=8).outcome == HOLDS


def test_symbols_decide_for_all_values_at_once():
    free = Symbol.variables(*"abcdefg")
    tables, prior = np.empty((2, 2, 2), dtype=object), np.empty(2, dtype=object)
    for k, (a, b, c) in enumerate((free[:3], free[3:6])):
        tables[k].flat[:] = [a, b, c, 1 - a - b - c]
    prior[:] = [free[6], 1 - free[6]]
    right = from_table("symbols", tables, prior)
    found = report(right)
    assert {name for name, check in found.items() if check.outcome == UNDECIDED} == {"check_top_k", "check_sampling"}
    assert {check.outcome for check in found.values()} == {HOLDS, UNDECIDED}
    static = replace(right, router=lambda t, rows: np.repeat(prior[:, None], len(rows), axis=1))
    assert check_filter(static).outcome == FAILS


# Strangers that misbehave


@pytest.mark.parametrize(
    ("answer", "where", "note"),
    [
        (lambda rows: np.ones((3, len(rows))), "router has its shape", "got (3, 1), expected (2, 1)"),
        (lambda rows: np.full((2, len(rows)), np.nan), "router is finite", "got nan, expected a number"),
        (lambda rows: np.full((2, len(rows)), np.inf), "router is finite", "got inf, expected a number"),
        (lambda rows: np.ones((2, len(rows)), dtype=int), "router is of numbers", "got int64, expected floats"),
        (lambda rows: {}["weights"], "router answers at prefix ()", "raised KeyError('weights')"),
        (lambda rows: None, "what the system says can be judged", "raised "),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_a_failure_that_says_so(answer, where, note):
    record = check_router(coins(router=answer))
    assert record.outcome == FAILS
    assert record.where.startswith(where)
    assert note in record.note


def test_what_no_expert_says_is_not_judged_where_no_expert_goes():
    disjoint = from_table("disjoint", np.array([[[1.0, 0], [0, 0]], [[0, 0], [0, 1.0]]]), [0.5, 0.5])
    assert {check.outcome for check in report(disjoint).values()} == {HOLDS}


@pytest.mark.parametrize(("vocabulary", "length", "experts"), [(1, 1, 1), (1, 3, 2), (2, 1, 1), (5, 1, 3)])
def test_the_smallest_systems_hold(vocabulary, length, experts):
    tables = np.random.default_rng(0).dirichlet(np.ones(vocabulary**length), experts)
    system = from_table("small", tables.reshape(experts, *(vocabulary,) * length), np.full(experts, 1 / experts))
    assert {check.outcome for check in report(system).values()} == {HOLDS}


def test_a_large_vocabulary_is_looked_at_row_by_row():
    law = np.random.default_rng(0).dirichlet(np.ones(30_000), 2)
    experts = [lambda rows, k=k: np.tile(law[k], (len(rows), 1)) for k in range(2)]
    system = from_functions("large", experts, [0.5, 0.5], vocabulary=30_000, length=2)
    assert check_filter(system).outcome == HOLDS
    assert check_batch(system).outcome == HOLDS


def test_a_weight_of_zero_and_rows_drawn_by_seed():
    system = from_table("unused expert", to_float(TABLES), [0.5, 0.5, 0.0])
    assert {check.outcome for check in report(system, examples=3, seed=7).values()} == {HOLDS}
    assert check_filter(system, examples=3, seed=1) == check_filter(system, examples=3, seed=1)


class Own:
    """A system of a stranger's own class: the protocol, nothing inherited."""

    name, vocabulary, length = "own", 2, 3
    prior = np.array([0.5, 0.5])

    def experts(self, t, rows):
        return np.tile(COINS[:, None], (1, len(rows), 1))

    def router(self, t, rows):
        return coins().router(t, rows)


def test_any_object_with_the_attributes_is_a_system():
    assert offered(Own()) == ("prior", "experts", "router")
    assert check_filter(Own()).outcome == HOLDS
    with pytest.raises(ValueError, match="system must have attributes name, vocabulary and length"):
        check_filter(object())
    with pytest.raises(ValueError, match="kind of a system must be 'prefix' or 'state', was 'sequence'"):
        check_filter(replace(coins(), kind="sequence"))
    for size in ("vocabulary", "length"):
        with pytest.raises(ValueError, match=f"{size} of a system must be an integer at least 1, was '2'"):
            check_filter(replace(coins(), **{size: "2"}))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"prior": [0.5, 0.25, 0.25]}, "prior must have shape (2,), one weight an expert, was (3,)"),
        ({"prior": [0.5, 0.25]}, "prior must sum to one"),
        ({"vocabulary": 0}, "vocabulary must be an integer at least 1, was 0"),
        ({"length": 1.5}, "length must be an integer at least 1, was 1.5"),
        ({"experts": []}, "experts must be a nonempty sequence, was empty"),
        ({"experts": len}, "experts must be a nonempty sequence"),
        ({"experts": [len, 1]}, "experts must be functions of prefixes, was 1"),
    ],
)
def test_an_adapter_names_the_argument_that_is_wrong(arguments, says):
    given = {"experts": [len, len], "prior": [0.5, 0.5], "vocabulary": 2, "length": 3} | arguments
    with pytest.raises(ValueError, match=re.escape(says)):
        from_functions("wrong", **given)


@pytest.mark.parametrize("more", [{"examples": 0}, {"examples": "a"}, {"seed": -1}, {"seed": 0.5}])
def test_a_check_refuses_what_the_caller_gets_wrong(more):
    """It is no fault of the system, and no fewer rows than were asked for."""
    with pytest.raises(ValueError, match=f"{next(iter(more))} must be an integer at least"):
        report(coins(), **more)


# Pairs and verdicts


def test_pairs_hold_the_checks_of_a_systems_kind():
    names = {check.__name__ for _, check in pairs([prefix()])}
    assert "check_filter" in names
    assert "check_continuity" not in names
    assert "check_continuity" in {check.__name__ for _, check in pairs([masked_float()])}
    assert names | {check.__name__ for _, check in pairs([masked_float()])} == set(ALL)


def test_a_verdict_is_raised_and_carries_its_record():
    with pytest.raises(NonConformance, match="fails check_laws") as caught:
        conforms(off_by(1e-3), check_laws)
    assert caught.value.check.outcome == FAILS
    assert conforms(prefix(), check_laws).outcome == HOLDS


def test_expected_failures_must_name_checks():
    with pytest.raises(ValueError, match=r"expected_failed_checks must name checks, named \['check_all'\]"):
        parametrize_with_checks([prefix()], expected_failed_checks={"check_all": "no such"})
    with pytest.raises(ValueError, match="expected_failed_checks must be a Mapping, was of type list"):
        parametrize_with_checks([prefix()], expected_failed_checks=["check_filter"])
    for systems in ([], prefix()):
        with pytest.raises(ValueError, match="systems must be a nonempty sequence"):
            parametrize_with_checks(systems)


LARGE = ("check_laws", "check_mixture", "check_one_expert", "check_padding")


@parametrize_with_checks(
    [coins(), off_by(1e-3)],
    expected_failed_checks=lambda system: {} if system.name == "coins" else dict.fromkeys(LARGE, "too large"),
)
def test_the_decorator_runs_every_pair(system, check):
    conforms(system, check)


def test_a_reference_is_loaded():
    assert load("right:prefix").name == "tables"
    with pytest.raises(ValueError, match="system must be given as module:name"):
        load("right")


def test_the_prior_is_exact_in_rationals():
    assert check_filter(replace(prefix(), prior=PRIOR[::-1])).note == "got 1/2, expected 1/6"
