"""What a search may vary, as values."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cli import arguments
from pipeline.cli.sweep import space as sweep_space
from pipeline.errors import BadSetting
from pipeline.search.space import Condition, Dimension, SearchSpace, Value, format_value

SGD, ADAM = Condition("optimizer", "sgd"), Condition("optimizer", "adam")
CONDITIONAL = SearchSpace(
    (
        Dimension(key="model.hidden", choices=(8, 16, 32)),
        Dimension(key="optimizer", choices=("sgd", "adam")),
        Dimension(key="optimizer.learning_rate", low=0.05, high=0.5, log=True, when=SGD),
        Dimension(key="optimizer.momentum", choices=(0.0, 0.9), when=SGD),
        Dimension(key="optimizer.learning_rate", low=0.001, high=0.02, log=True, when=ADAM),
    )
)
RATE_OF_SGD, RATE_OF_ADAM = (
    "optimizer.learning_rate (optimizer=sgd)",
    "optimizer.learning_rate (optimizer=adam)",
)

# ---- made by chance ---------------------------------------------------------------------------------------

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
TEXTS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=8)
VALUES = st.one_of(st.integers(-(10**9), 10**9), NUMBERS, st.booleans(), st.none(), TEXTS)


@st.composite
def choices(draw: st.DrawFn) -> Dimension:
    found = draw(st.lists(VALUES, min_size=2, max_size=5, unique=True))
    return Dimension(key="a.key", choices=tuple(found))


@st.composite
def intervals(draw: st.DrawFn) -> Dimension:
    log, whole = draw(st.booleans()), draw(st.booleans())
    numbers = st.integers(1 if log else -1000, 10**6) if whole else st.floats(1e-6 if log else -1e6, 1e6)
    low, high = sorted(draw(st.lists(numbers, min_size=2, max_size=2, unique=True)))
    return Dimension(key="a.key", low=low, high=high, log=log, is_integer=whole)


@st.composite
def ranges(draw: st.DrawFn) -> Dimension:
    count = draw(st.integers(1, 40))
    if draw(st.booleans()):
        low, step = draw(st.integers(-1000, 1000)), draw(st.integers(1, 50))
        return Dimension(key="a.key", low=low, high=low + step * count, step=step, is_integer=True)
    low, step = draw(st.integers(-100, 100)) / 10, draw(st.sampled_from([0.1, 0.05, 0.25, 0.3, 1.5]))
    return Dimension(key="a.key", low=low, high=low + step * count, step=step)


DIMENSIONS = st.one_of(choices(), intervals(), ranges())


def ends(dimension: Dimension) -> tuple[Value, ...]:
    return dimension.choices or (dimension.low, dimension.high)


@given(VALUES)
def test_a_word_is_read_as_the_value_that_it_says(value: Value) -> None:
    override = arguments.parse(f"a.key={format_value(value)}")
    assert not override.is_sweep_override()
    read = override.value()
    assert read == value
    assert isinstance(read, bool) == isinstance(value, bool)


@given(DIMENSIONS)
def test_the_text_of_a_dimension_is_parsed_into_it_again(dimension: Dimension) -> None:
    (text,) = sweep_space.split_words([dimension.format()])[1]
    again = sweep_space.parse_dimension(text)
    assert (again.key, again.choices, again.log, again.is_integer) == (
        dimension.key,
        dimension.choices,
        dimension.log,
        dimension.is_integer,
    )
    assert [again.low, again.high, again.step or 0] == pytest.approx(
        [dimension.low, dimension.high, dimension.step or 0], rel=1e-9, abs=1e-9
    )


@given(DIMENSIONS)
def test_it_holds_its_ends_and_nothing_beyond(dimension: Dimension) -> None:
    assert all(dimension.contains(value) for value in ends(dimension))
    assert not dimension.contains("no such value of it")
    if not dimension.choices:
        for value in (dimension.low - 1, dimension.high + 1, math.nan, math.inf, None, True, "a"):
            assert not dimension.contains(value)


@given(st.one_of(choices(), ranges()))
def test_it_holds_each_of_its_values(dimension: Dimension) -> None:
    values = dimension.list_values()
    assert len(values) >= 2
    assert all(dimension.contains(value) for value in values)
    if dimension.step:
        assert not dimension.contains(dimension.low + dimension.step / 2)
        assert values[-1] == pytest.approx(dimension.high)


@settings(max_examples=40)
@given(st.data())
def test_every_combination_is_found_by_its_own_values(data: st.DataObject) -> None:
    """A space with two conditions: `combinations`, `words`, `active` and `find` say the same."""
    parents = data.draw(st.lists(st.sampled_from("pqrs"), min_size=2, max_size=4, unique=True))
    children = [
        Dimension(key="child", choices=(number, number + 10), when=Condition("parent", parent))
        for number, parent in enumerate(data.draw(st.sets(st.sampled_from(parents))))
    ]
    made = SearchSpace(
        (Dimension(key="parent", choices=tuple(parents)), *children, Dimension(key="z", choices=(1, 2, 3)))
    )
    combinations = list(made.iterate_combinations())
    assert len(combinations) == 3 * (len(parents) + len(children))
    assert len({frozenset(each.items()) for each in combinations}) == len(combinations)
    for params in combinations:
        assert {each.name for each in made.iterate_active(params)} == set(params)
        values = {pair.partition("=")[0]: arguments.parse(pair).value() for pair in made.to_overrides(params)}
        assert len(values) == len(params)
        assert made.find_params(values) == params


# ---- by example -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (None, "null"),
        (1.0, "1"),
        (1e-05, "1e-05"),
        (0.1 + 0.2, "0.30000000000000004"),
        ("sgd", "sgd"),
        ("true", "'true'"),
        ("12", "'12'"),
        ("a,b", "'a,b'"),
        ("it's", "'it\\'s'"),
    ],
)
def test_words(value: Value, text: str) -> None:
    assert format_value(value) == text


@pytest.mark.parametrize(
    "text",
    [
        "model.hidden=tag(log,int(interval(16,1024)))",
        "optimizer.learning_rate=tag(log,interval(0.0005,0.5))",
        "model.layers=int(range(1,5,1))",
        "optimizer=sgd,adam",
        "optimizer.nesterov=true,false",
    ],
)
def test_the_text_is_what_one_types(text: str) -> None:
    assert sweep_space.parse_dimension(text).format() == text


def test_a_condition_lets_a_dimension_count() -> None:
    with_sgd = {
        "model.hidden": 8,
        "optimizer": "sgd",
        RATE_OF_SGD: 0.1,
        "optimizer.momentum (optimizer=sgd)": 0.9,
    }
    assert CONDITIONAL.to_overrides(with_sgd) == (
        "model.hidden=8",
        "optimizer=sgd",
        "optimizer.learning_rate=0.1",
        "optimizer.momentum=0.9",
    )
    with_adam = {"model.hidden": 8, "optimizer": "adam", RATE_OF_ADAM: 0.002}
    assert CONDITIONAL.to_overrides(with_adam) == (
        "model.hidden=8",
        "optimizer=adam",
        "optimizer.learning_rate=0.002",
    )
    assert CONDITIONAL.keys == (
        "model.hidden",
        "optimizer",
        "optimizer.learning_rate",
        "optimizer.momentum",
    )
    assert (
        CONDITIONAL.format_lines()[2] == "optimizer=sgd: optimizer.learning_rate=tag(log,interval(0.05,0.5))"
    )


def test_params_may_be_made_while_it_is_asked_what_counts() -> None:
    params: dict[str, Value] = {}
    for dimension in CONDITIONAL.iterate_active(params):
        params[dimension.name] = dimension.choices[-1] if dimension.choices else dimension.low
    assert params == {"model.hidden": 32, "optimizer": "adam", RATE_OF_ADAM: 0.001}


def test_what_the_space_does_not_hold_is_not_found() -> None:
    good: dict[str, Value] = {"model.hidden": 16, "optimizer": "adam", "optimizer.learning_rate": 0.01}
    assert CONDITIONAL.find_params(good) == {"model.hidden": 16, "optimizer": "adam", RATE_OF_ADAM: 0.01}
    assert CONDITIONAL.find_params({**good, "optimizer.learning_rate": 0.1}) is None  # sgd's alone
    assert CONDITIONAL.find_params({**good, "model.hidden": 17}) is None
    assert CONDITIONAL.find_params({"optimizer": "adam"}) is None


def test_a_continuum_has_no_values() -> None:
    with pytest.raises(BadSetting, match=r"^optimizer.learning_rate must have a finite number of values"):
        list(CONDITIONAL.iterate_combinations())
