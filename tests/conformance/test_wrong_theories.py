"""Every right theory passes every check, and every wrong one is caught by the check and the statement it names."""

import re

import pytest
from right import RIGHT
from wrong import CATALOGUE, Edited, rebuilt, with_velocity

from ddfm_theory.ledger.records import FAILS, HOLDS, UNDECIDED
from ddfm_theory.testing import checks, judging
from ddfm_theory.testing.parametrize import pairs, report

RIGHT_PAIRS = [
    (name, check.__name__) for name in RIGHT if name != "rare" for _, check in pairs([RIGHT[name]()])
]  # fmt: skip
UNDECIDED_RIGHTLY = {
    "check_sampling": "the system offers no sample",  # exact systems do not draw
    "check_continuity": "every step moves several positions, so that none has a first-order equation",
}


@pytest.mark.parametrize(("name", "check"), RIGHT_PAIRS)
def test_the_right_theory_passes(name, check):
    record = getattr(checks, check)(RIGHT[name]())
    if record.outcome == UNDECIDED:
        assert record.note == UNDECIDED_RIGHTLY[check]
    else:
        assert record.outcome == HOLDS, record


def test_rare_tokens_are_sampled_right_in_float64():
    assert checks.check_sampling(RIGHT["rare"](), draws=1_000_000).outcome == HOLDS


def test_there_are_enough_wrong_theories():
    assert len(CATALOGUE) >= 40
    assert len({wrong.says for wrong in CATALOGUE}) == len(CATALOGUE)


@pytest.mark.parametrize("wrong", CATALOGUE, ids=[wrong.says for wrong in CATALOGUE])
def test_a_wrong_theory_is_caught_by_the_statement_it_violates(wrong):
    system = wrong.edit(RIGHT[wrong.right]())
    record = getattr(checks, wrong.check)(system, **dict(wrong.options))
    assert record.outcome == FAILS, record
    assert record.where.partition(" at ")[0] == wrong.statement, record
    assert "raised" not in record.note
    assert not re.search("shape|answers|can be judged", record.where)


@pytest.mark.parametrize("check", [check.__name__ for check in checks.CHECKS])
def test_every_check_catches_something(check):
    assert any(wrong.check == check for wrong in CATALOGUE)


def kind_of(statement):
    """A statement without its numbers and the part it is about."""
    named = re.sub(r"^(experts?|router|mixture|central|step)( \d+)?: ", "part: ", statement)
    return re.sub(r"\d+", "#", named)


def test_every_statement_is_violated_by_some_wrong_theory(monkeypatch):
    told, decide = set(), judging._decide

    def record(item, dtype, tally):
        told.add(kind_of(item.statement.name))
        return decide(item, dtype, tally)

    monkeypatch.setattr(judging, "_decide", record)
    for name in ("prefix_float", "coins", "masked_float", "one", "steps"):
        report(RIGHT[name]())
    assert len(told) > 40
    assert told - {kind_of(wrong.statement) for wrong in CATALOGUE} == set()


def test_the_edits_are_the_errors_and_not_what_carries_them():
    system = RIGHT["masked"]()
    for carried in (
        rebuilt(),
        with_velocity(system, lambda u, t, rows: u),
        type(system)(**{**vars(system), "schedule": Edited(system.schedule)}),
    ):
        assert FAILS not in {check.outcome for check in report(carried).values()}
