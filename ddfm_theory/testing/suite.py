"""The suite for somebody else's system: ``pytest --pyargs ddfm_theory.testing.suite --ddfm-system module:name``."""

from __future__ import annotations

from typing import Any

import pytest

from ddfm_theory.testing import plugin
from ddfm_theory.testing.parametrize import NonConformance, conforms, identifier, pairs


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each system and check."""
    config = metafunc.config
    if not plugin.references(config):
        raise pytest.UsageError(
            f"the suite must be told what is under test: --ddfm-system module:name or {plugin.VARIABLE}"
        )
    expected = plugin.expected_failures(config)
    parameters = []
    for system, check in pairs(plugin.systems(config)):
        name = identifier(system, check)
        reasons = [reason for entry, reason in expected if plugin.matches(entry, name)]
        marks = [pytest.mark.xfail(reason=reasons[0], strict=True, raises=NonConformance)] if reasons else []
        parameters.append(pytest.param(system, check, marks=marks, id=name))
    metafunc.parametrize(("system", "check"), parameters)


def test_conformance(system: Any, check: Any, pytestconfig: pytest.Config) -> None:
    """Hold a system against a check."""
    conforms(
        system, check, examples=pytestconfig.getoption("--ddfm-examples"), seed=pytestconfig.getoption("--ddfm-seed")
    )
