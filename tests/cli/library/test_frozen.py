"""A frozen dictionary is one for all that reads, and for nobody who writes."""

import copy
import json
import pickle

import pytest

from pipeline.cli.library.frozen import FrozenDict


def test_it_is_read_as_any_other_and_cannot_be_changed() -> None:
    made = FrozenDict({"width": 8, "name": None})
    for again in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert again == made == {"width": 8, "name": None}
        assert hash(again) == hash(made)
    assert json.loads(json.dumps(made)) == made
    with pytest.raises(TypeError, match="cannot be changed"):
        made["width"] = 9
    with pytest.raises(TypeError, match="cannot be changed"):
        del made["width"]
    for change in (made.clear, made.popitem, lambda: made.update(a=1), lambda: made.setdefault("a", 1)):
        with pytest.raises(TypeError, match="cannot be changed"):
            change()
    assert dict(made) | {"width": 9} == {"width": 9, "name": None}
