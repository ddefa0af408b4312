"""flow_matching's published path, schedulers and solver: what they violate is reported, not crashed on."""

import pytest

pytest.importorskip("flow_matching", reason="flow_matching (CC-BY-NC, a comparator only) is not installed")

import published
from outside import pytest as run

from ddfm_theory.ledger.records import FAILS, HOLDS, UNDECIDED
from ddfm_theory.testing import checks
from ddfm_theory.testing.parametrize import pairs, report

SOUND = (
    "check_schedule", "check_velocity_conditions", "check_router", "check_router_posterior", "check_mixture",
    "check_central", "check_continuity", "check_one_expert", "check_permutation", "check_duplicates", "check_top_k",
    "check_batch", "check_order",
)  # fmt: skip
NOT_OFFERED = {"check_path": "path", "check_steps": "step", "check_sampling": "sample"}


@pytest.mark.parametrize("name", ["masked", "linear"])
def test_inside_the_interval_the_published_velocity_is_right(name):
    system = getattr(published, name)
    for check in SOUND:
        assert getattr(checks, check)(system).outcome == HOLDS, check


@pytest.mark.parametrize("name", ["masked", "linear"])
def test_at_its_end_the_published_velocity_is_no_number(name):
    record = checks.check_ends(getattr(published, name))
    assert record.outcome == FAILS
    assert record.where.startswith("mixture is finite at t = 1.0, state ")
    assert record.note == "got nan, expected a number"


def test_the_published_cosine_scheduler_is_refused_by_the_published_path_and_that_is_reported():
    found = report(published.cosine())
    assert found["check_schedule"].outcome == FAILS
    assert found["check_schedule"].where == "schedule answers at t = 0.0"
    assert "must be a ConvexScheduler" in found["check_schedule"].note
    assert {name: found[name].outcome for name in SOUND if "select" not in found[name].note} == dict.fromkeys(
        SOUND, FAILS
    )


def test_the_published_solver_draws_the_target_where_few_positions_move_at_once():
    assert checks.check_sampling(published.masked).outcome == HOLDS


def test_the_published_solver_draws_what_the_target_forbids_where_tied_positions_move_at_once():
    record = checks.check_sampling(published.tied)
    assert record.outcome == FAILS
    assert record.where.startswith("nothing of probability zero is drawn at (0, 1)")


def test_what_is_not_offered_is_undecided():
    for check, part in NOT_OFFERED.items():
        record = getattr(checks, check)(published.linear)
        assert (record.outcome, record.note) == (UNDECIDED, f"the system offers no {part}")


def test_the_suite_reports_all_of_it(tmp_path, request):
    here = request.path.parent
    for module in ("published", "right"):
        (tmp_path / f"{module}.py").write_text((here / f"{module}.py").read_text())
    code, printed = run(tmp_path, "--pyargs", "ddfm_theory.testing.suite", "--ddfm-system", "published:linear",
                        "--ddfm-system", "published:cosine")  # fmt: skip
    assert code == 1
    assert "flow_matching, any source fails check_ends" in printed
    assert "flow_matching, cosine fails check_schedule" in printed
    assert "Traceback" not in printed
    assert f"{len(list(pairs([published.linear]))) * 2}" in printed.split("collected ")[1].split(" items")[0]
