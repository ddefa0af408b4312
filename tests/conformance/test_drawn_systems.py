"""Systems drawn by Hypothesis, corners included: a right theory never fails a check, and a planted error is caught."""

from dataclasses import replace

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from right import floats

from ddfm_theory.ledger.records import FAILS
from ddfm_theory.schedulers import Autoregressive, Linear, Polynomial, Windowed
from ddfm_theory.testing.adapters import from_decentralization, from_table
from ddfm_theory.testing.checks import check_filter
from ddfm_theory.testing.parametrize import pairs
from ddfm_theory.testing.strategies import decentralizations

SCHEDULES = [Linear(), Polynomial(2), Polynomial(3), Windowed(0), Windowed(1)]
DRAWN = settings(max_examples=12)


def failing(system):
    """The checks that fail, apart from samples (whose law is a matter of chance)."""
    records = {check.__name__: check(system, examples=8) for system, check in pairs([system])
               if check.__name__ != "check_sampling"}  # fmt: skip
    return {name: record for name, record in records.items() if record.outcome == FAILS}


@DRAWN
@given(decentralizations(masked=True), st.booleans())
def test_a_right_table_never_fails(experts, rounded):
    experts = floats(experts) if rounded else experts
    tables = np.stack([coupling.target for coupling in experts.couplings])
    assert failing(from_table("drawn", tables, experts.weights)) == {}


@DRAWN
@given(decentralizations(), st.sampled_from(SCHEDULES), st.booleans())
def test_a_right_flow_never_fails(experts, schedule, rounded):
    assert failing(from_decentralization("drawn", floats(experts) if rounded else experts, schedule)) == {}


@DRAWN
@given(decentralizations(masked=True), st.booleans())
def test_right_steps_never_fail(experts, rounded):
    experts = floats(experts) if rounded else experts
    steps = list(range(experts.central.length + 1))
    assert failing(from_decentralization("drawn", experts, Autoregressive(), times=steps)) == {}


@DRAWN
@given(decentralizations(masked=True))
def test_a_static_router_fails_wherever_tokens_tell_experts_apart(experts):
    tables = np.stack([coupling.target for coupling in experts.couplings])
    right = from_table("drawn", tables, experts.weights)
    posterior = right.router(1, np.arange(tables.shape[1])[:, None])
    prior = np.repeat(experts.weights[:, None], tables.shape[1], axis=1)
    assume((posterior != prior)[:, posterior.sum(axis=0) != 0].any())
    static = replace(right, router=lambda t, rows: np.repeat(experts.weights[:, None], len(rows), axis=1))
    assert check_filter(static).outcome == FAILS
