"""What `make audit` holds of licences; its other steps are programs of others, which CI runs."""

from email.message import Message
from types import SimpleNamespace

import audit
import pytest

ALLOWED = frozenset({"MIT", "Apache-2.0", "BSD-3-Clause"})


def package(**said):
    told = Message()
    for name, value in said.items():
        for one in value if isinstance(value, list) else [value]:
            told[name.replace("_", "-")] = one
    return SimpleNamespace(metadata=told)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"License_Expression": "MIT AND OFL-1.1"}, "MIT AND OFL-1.1"),
        ({"License": "Apache 2.0"}, "Apache-2.0"),
        ({"Classifier": ["Typing :: Typed", "License :: OSI Approved :: MIT License"]}, "MIT"),
        ({"License": "Dual License", "Classifier": "License :: OSI Approved :: BSD License"},
         "BSD-3-Clause"),
        ({"License": "x" * 1_000}, "unsaid"),
        ({}, "unsaid"),
    ],
)  # fmt: skip
def test_a_licence_is_read_wherever_a_package_writes_it(said, found):
    assert audit.licence(package(**said)) == found


@pytest.mark.parametrize(
    ("expression", "may"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("unsaid", False),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND Apache-2.0", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT OR GPL-3.0-only) AND Apache-2.0", True),
    ],
)
def test_of_alternatives_one_is_enough_and_of_several_each_must_be_allowed(expression, may):
    assert audit.may(expression, ALLOWED) is may


def test_what_is_installed_here_may_be_here():
    assert audit.licences() == []


def test_a_package_under_another_licence_is_named(monkeypatch):
    stranger = package(Name="stranger", License_Expression="AGPL-3.0-only")
    real = list(audit.distributions())
    monkeypatch.setattr(audit, "distributions", lambda: [*real, stranger])
    [found] = audit.licences()
    assert "stranger" in found
    assert "AGPL-3.0-only" in found
