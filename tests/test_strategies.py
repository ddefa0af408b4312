"""The strategies: valid by construction, corners reached, shrinking to two tokens and two experts, known by type."""

import subprocess
import sys

import flint
import hypothesis
import numpy as np
import pytest
from hypothesis import find
from hypothesis import strategies as st

from ddfm_theory.arrays import gamma, to_float
from ddfm_theory.couplings import Coupling, EmpiricalCoupling, MaskedCoupling
from ddfm_theory.decentralization import Decentralization
from ddfm_theory.schedulers import Autoregressive, Scheduler, Steps, Windowed
from ddfm_theory.testing import strategies as given_by
from ddfm_theory.testing.registration import STRATEGIES
from ddfm_theory.testing.systems import Parts

QUIET = hypothesis.settings(database=None, derandomize=True, max_examples=2000, deadline=None)
CORNERS = {
    "zero mass": (given_by.pmfs(3), lambda p: (p == 0).any()),
    "point mass": (given_by.pmfs(3), lambda p: (p == 1).any()),
    "full support": (given_by.pmfs((2, 2)), lambda p: (p != 0).all()),
    "t = 0": (given_by.times(), lambda t: t == 0),
    "t = 1": (given_by.times(), lambda t: t == 1),
    "empty expert": (given_by.decentralizations(), lambda d: len(d) > 1 and (d.weights == 0).any()),
    "identical experts": (given_by.decentralizations(), lambda d: len(d) > 1 and d.couplings[0] is d.couplings[1]),
    "disjoint experts": (
        given_by.decentralizations(masked=True),
        lambda d: len(d) > 1 and (d.couplings[0].target * d.couplings[1].target == 0).all(),
    ),
    "overlapping experts": (
        given_by.decentralizations(masked=True),
        lambda d: (
            len(d) > 1
            and d.couplings[0] is not d.couplings[1]
            and (d.couplings[0].target * d.couplings[1].target != 0).any()
        ),
    ),
    "joint coupling": (given_by.couplings(), lambda c: isinstance(c, Coupling)),
    "masked coupling": (given_by.couplings(), lambda c: isinstance(c, MaskedCoupling) and c.length == 3),
    "duplicate samples": (
        given_by.empirical_couplings(),
        lambda c: len({tuple(r) for r in c.samples}) < len(c.samples),
    ),
    "a step that does nothing": (given_by.step_schedulers(1), lambda s: (s.table[1:] == s.table[:-1]).any()),
    "an order that is not left to right": (given_by.orders(3), lambda o: o.order != (0, 1, 2)),
    "a masked state": (given_by.states(3, 2), lambda z: (z == 2).any()),
    "a degenerate pmf of two axes": (given_by.point_masses((2, 2)), lambda p: p[1, 0] == 1),
    "an expert without data": (given_by.partitions(4, 2), lambda labels: len(set(labels)) == 1),
    "experts of unlike sizes": (given_by.partitions(4, 2), lambda labels: labels.sum() == 1),
    "a schedule for any length": (given_by.schedulers(), lambda s: isinstance(s, Windowed)),
    "a schedule that is done": (given_by.schedulers(2), lambda s: (s.weights(flint.fmpq(1, 2), 2)[-1] == 1).any()),
    "an autoregressive system": (given_by.systems(), lambda s: s.kind == "prefix" and len(s.prior) == 2),
    "a flow": (given_by.systems(), lambda s: s.kind == "state" and len(s.couplings) == 2),
    "experts in floats": (given_by.floating(given_by.decentralizations()), lambda d: d.weights.dtype == float),
    "samples in floats": (
        given_by.floating(given_by.empirical_couplings()),
        lambda c: c.weights.dtype == float and (c.weights == 0).any(),
    ),
    "a one-hot router": (given_by.routers(2), lambda r: (r == 1).any()),
}


@pytest.mark.parametrize("name", CORNERS)
def test_corners_are_reached(name):
    strategy, corner = CORNERS[name]
    assert corner(find(strategy, corner, settings=QUIET))


def test_failures_shrink_to_two_tokens_and_two_experts():
    def distinct(experts):
        return len(experts) > 1 and bool((experts.couplings[0].target != experts.couplings[-1].target).any())

    smallest = find(given_by.decentralizations(masked=True), distinct, settings=QUIET)
    assert len(smallest) == 2
    assert smallest.central.length == 1
    assert smallest.central.vocabulary == 2


@hypothesis.given(st.data())
def test_draws_are_valid(data):
    p = data.draw(given_by.pmfs((2, 3)))
    assert p.sum() == 1
    assert (p >= flint.fmpq(0)).all()
    assert data.draw(given_by.pmfs(2, positive=True)).min() > 0
    assert abs(to_float(data.draw(given_by.floating(given_by.pmfs(4)))).sum() - 1) <= gamma("float64", 8)
    scheduler, t = data.draw(given_by.schedulers(2)), data.draw(given_by.times())
    assert (scheduler.weights(t, 2).sum(axis=0) == 1).all()


def test_systems_shrink_to_two_tokens_and_two_experts():
    def routes_by_token(system):
        router = system.router(1, np.arange(system.vocabulary)[:, None])
        return bool(((router != system.prior[:, None]) & (router.sum(axis=0) != 0)).any())

    smallest = find(given_by.systems("prefix"), routes_by_token, settings=QUIET)
    assert (len(smallest.prior), smallest.vocabulary, smallest.length) == (2, 2, 1)


def test_partitions_and_orders_shrink_to_what_is_plainest():
    assert find(given_by.partitions(3, 4), lambda labels: labels.any(), settings=QUIET).tolist() == [0, 0, 1]
    assert find(given_by.orders(), lambda order: order.order != (0,), settings=QUIET).order == (0, 1)
    assert find(given_by.step_schedulers(), lambda s: True, settings=QUIET).steps == 1


TYPES = [Autoregressive, Coupling, Decentralization, EmpiricalCoupling, MaskedCoupling, Parts, Scheduler, Steps]


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_hypothesis_knows_them_by_type(kind):
    assert isinstance(find(st.from_type(kind), lambda value: True, settings=QUIET), kind)
    assert len(STRATEGIES) == len(TYPES)


def test_registering_stays_light():
    looked_for = {"torch", "sympy", "scipy", "ddfm_theory.couplings"}
    code = f"import sys, hypothesis; print(*({looked_for} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["ddfm_theory.couplings"], "registered by the entry point, without what is heavy"
