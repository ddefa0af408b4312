import sys

import pytest

from ddfm_theory.bridge.extras import need


def test_an_absent_package_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert need("json").__name__ == "json"
    with pytest.raises(ImportError, match=r"nothing_of_this_name must be installed .* 'ddfm-theory\[bridge\]'"):
        need("nothing_of_this_name.part")
