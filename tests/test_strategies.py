"""The strategies: valid by construction, corners reached, and shrinking to two tokens and two experts."""

import flint
import hypothesis
import pytest
from hypothesis import find
from hypothesis import strategies as st

from ddfm_theory.arrays import gamma, to_float
from ddfm_theory.couplings import Coupling, MaskedCoupling
from ddfm_theory.testing import strategies as given_by

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
