"""Every value that a setting cannot have is refused with those that it can have."""

from dataclasses import fields
from typing import Any, get_args, get_type_hints

import pytest

from segeval.errors import ConfigurationError
from segeval.generate.attacks.settings import with_settings
from segeval.registry import ATTACKS


@pytest.mark.parametrize("name", list(ATTACKS))
def test_a_wrong_value_is_refused_with_what_is_possible(name: str) -> None:
    form: Any = ATTACKS.load(name)
    hints = get_type_hints(form)
    for key in (field.name for field in fields(form)):
        with pytest.raises(ConfigurationError) as caught:
            with_settings(name, form, {key: "nothing of the kind"})
        assert caught.value.what == f"{name}: {key}=nothing of the kind is not possible"
        assert caught.value.hint.startswith(f"--set {key} takes ") and "<" not in caught.value.hint
        for value in get_args(hints[key]):
            if isinstance(value, str):
                assert value in caught.value.hint


def test_text_becomes_values() -> None:
    pgd: Any = with_settings("pgd", ATTACKS.load("pgd"), {"budget": "2", "restarts": "3", "last_step": "null"})
    assert (pgd.budget, pgd.restarts, pgd.last_step) == (2.0, 3, None)
