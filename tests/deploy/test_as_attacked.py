"""A network that is another one by now than when it was attacked is not deployed as if it was."""

from dataclasses import replace
from typing import Any

import pytest

from segeval.deploy.contents import survey
from segeval.deploy.engine_files import references_of, require_as_attacked
from segeval.errors import WeightsError
from segeval.files.images import save_png
from segeval.files.set_folder import SetFolder


def test_a_network_that_shows_something_else_is_refused(make_set: Any, victims: Any) -> None:
    folder = SetFolder(make_set(range(2)))
    model = folder.manifest().models[0].name
    contents = survey(folder)
    references = references_of(victims[model], contents)
    saved = {
        (id, model): save_png(folder.root, f"prediction/{model}/{id}.png", reference.labels)
        for id, reference in zip(contents.clean, references, strict=True)
    }
    contents = replace(contents, predictions=saved)
    require_as_attacked(model, references, contents)
    changed = references[0].labels.copy()
    changed[: max(1, len(changed) // 40)] += 1
    others = [replace(references[0], labels=changed), *references[1:]]
    with pytest.raises(WeightsError, match=r"another network than when it was attacked: 9\d\.\d% of the labels"):
        require_as_attacked(model, others, contents)
    require_as_attacked("a network that nothing was made for", others, contents)
