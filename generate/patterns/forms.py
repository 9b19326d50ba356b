"""From ``--set key=value`` to what is fitted."""

from collections.abc import Iterable
from dataclasses import fields

from segeval.classes import ClassTable
from segeval.errors import ConfigurationError, nearest
from segeval.files.patterns import Kind

from ..attacks.fitted import FORMS, Form
from ..attacks.settings import with_settings


def build_form(kind: Kind, settings: Iterable[str]) -> Form:
    """A form with these settings. Raises ConfigurationError for one that it does not have, or of a wrong value."""
    form, chosen = FORMS[kind], {}
    known = [field.name for field in fields(form)]
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ConfigurationError(f"--set {setting!r} is not KEY=VALUE", "for example --set budget=8")
        if key not in known:
            raise ConfigurationError(f"a {kind} pattern has no setting {key!r}", nearest(key, known))
        chosen[key] = value
    made: Form = with_settings(kind, form, chosen)
    return made


def region_of(form: Form, table: ClassTable) -> tuple[int, ...]:
    """Indices of the classes on which a patch is to lie. Raises ConfigurationError for a class that is not there."""
    names = [name.strip() for name in str(getattr(form, "region", "")).split(",") if name.strip()]
    for name in names:
        if not table.find_all(name):
            raise ConfigurationError(
                f"region={name!r}: class table {table.name!r} has no such class", table.named(name)
            )
    return tuple(index for name in names for index in table.find_all(name))
