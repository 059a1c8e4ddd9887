"""Configs: layers, YAML, assignments, and errors that name the key, its value and what is accepted."""

import dataclasses

import pytest

from gtn_core.config import (
    Natural,
    Positive,
    PositiveReal,
    Real,
    Share,
    changed_settings,
    config,
    parse_assignments,
    read_yaml,
    resolve,
    to_dict,
    write_yaml,
)
from gtn_core.errors import UsageError


@config
class Inner:
    """An inner part."""

    steps: int = 3
    """Steps."""
    widths: tuple[tuple[int, int], ...] | None = None
    """Widths."""


@config
class Outer:
    """A whole."""

    name: str = "a"
    """Name."""
    inner: Inner = Inner()
    """A part."""
    maybe: Inner | None = None
    """A part that need not be."""
    parts: tuple[Inner, ...] = ()
    """Parts in a row."""
    names: tuple[str, ...] = ()
    """Names in a row."""
    rate: PositiveReal = 1.0
    """A rate."""


def test_later_layers_override_earlier_ones_per_key():
    merged = resolve(Outer, {"name": "b", "inner": {"steps": 5}}, {"inner": {"widths": [[1, 2]]}})
    assert merged == Outer(name="b", inner=Inner(steps=5, widths=((1, 2),)))


def test_config_round_trips_through_yaml(tmp_path):
    path, settings = tmp_path / "c.yaml", Outer(inner=Inner(widths=((1, 2), (3, 4))))
    write_yaml(settings, path.write_bytes)
    assert resolve(Outer, read_yaml(path)) == settings
    assert to_dict(settings)["inner"]["widths"] == [[1, 2], [3, 4]]


def test_changed_settings_lists_dotted_names_of_differences():
    before = Outer(inner=Inner(widths=((1, 2),)), parts=(Inner(),))
    after = Outer(name="b", inner=Inner(widths=((1, 3),)), parts=(Inner(steps=4), Inner()))
    assert changed_settings(before, before) == []
    assert changed_settings(before, after) == [
        *("name", "inner.widths", "parts.0.steps", "parts.1.steps", "parts.1.widths"),
    ]
    assert changed_settings(Outer(), Outer(maybe=Inner())) == ["maybe", "maybe.steps", "maybe.widths"]


def test_configs_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Outer().name = "b"


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ({"nam": "b"}, "unknown config key 'nam'; did you mean 'name'?"),
        ({"inner": {"step": 1}}, r"unknown config key 'inner\.step'; did you mean 'inner\.steps'\?"),
        ({"maybe": {"step": 1}}, r"unknown config key 'maybe\.step'; did you mean 'maybe\.steps'\?"),
        ({"parts": [{}, {"step": 1}]}, r"unknown config key 'parts\.1\.step'; did you mean 'parts\.1\.steps'\?"),
        ({"inner": {"steps": "many"}}, r"config key 'inner\.steps': .*integer.*got 'many'"),
        ({"inner": 3}, r"config key 'inner'"),
        ({"rate": 1e39}, r"config key 'rate': .*less than or equal to 1000"),
        (
            {"names": ["b:8", 16]},
            r"config key 'names\.1': .*string, got 16; quote an entry that contains a comma",
        ),
    ],
)
def test_resolve_error_names_unknown_key_or_invalid_value(layer, words):
    with pytest.raises(UsageError, match=words):
        resolve(Outer, layer)


def test_constructor_raises_the_same_errors():
    with pytest.raises(UsageError, match="unknown config key 'step'; did you mean"):
        Inner(step=1)
    with pytest.raises(UsageError, match=r"config key 'rate': .*greater than 0, got -1"):
        Outer(rate=-1)
    with pytest.raises(UsageError, match=r"config key 'steps': .*integer.*got 'many'"):
        dataclasses.replace(Inner(), steps="many")
    assert Outer(rate=2, inner=Inner(steps=4)) == resolve(Outer, {"rate": 2, "inner": {"steps": 4}})


@pytest.mark.parametrize("kind", [Natural, Positive, Real, PositiveReal, Share])
def test_truth_values_are_not_numbers(kind):
    @config
    class Settings:
        value: kind

    for truth in (True, False):
        with pytest.raises(UsageError, match=r"'value': Input should be a number, not true or false, got (True|False)"):
            resolve(Settings, {"value": truth})
    assert resolve(Settings, {"value": 1}).value == 1


def test_assignments_parse_dotted_keys_and_yaml_values():
    parsed = parse_assignments(["inner.steps=5", "inner.widths=[[1,2]]", "name=x=y"])
    assert parsed == {"inner": {"steps": 5, "widths": [[1, 2]]}, "name": "x=y"}


@pytest.mark.parametrize("text", ["steps", "=3", "a..b=1", ".a=1", "a.=1"])
def test_assignments_without_key_or_value_are_rejected(text):
    with pytest.raises(UsageError, match=r"expected KEY=VALUE, e\.g\. outer\.lr=0\.01, got '"):
        parse_assignments([text])


INVALID = ["[1", "2024-13-45", "5" * 5000, "[" * 5000, "!!int ''", "!!bool x", "!!timestamp x"]


@pytest.mark.parametrize("value", INVALID)
def test_assignment_of_invalid_yaml_is_rejected(value):
    with pytest.raises(UsageError, match="the value of 'a' is not valid YAML: "):
        parse_assignments([f"a={value}"])


@pytest.mark.parametrize("value", INVALID)
def test_file_of_invalid_yaml_is_rejected(tmp_path, value):
    path = tmp_path / "c.yaml"
    path.write_text(f"a: {value}")
    with pytest.raises(UsageError, match=r"c\.yaml is not valid YAML: "):
        read_yaml(path)


@pytest.mark.parametrize("content", [b"- 1\n", b"\xff\xfe"])
def test_read_yaml_rejects_invalid_and_missing_files(tmp_path, content):
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"c\.yaml"):
        read_yaml(path)
    with pytest.raises(UsageError, match="cannot read"):
        read_yaml(tmp_path / "absent.yaml")
