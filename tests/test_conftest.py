"""The settings of the whole suite."""

from hypothesis import settings


def test_no_example_has_a_time_limit() -> None:
    assert settings().deadline is None
