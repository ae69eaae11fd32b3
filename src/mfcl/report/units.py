"""How figures are written: each metric in its own unit."""

PERCENT = frozenset(["accuracy", "eer", "r_at_1", "r_at_5"])
COUNTS = frozenset(["parameters", "multiply_adds", "n"])
BEST: dict[str, int] = {
    "accuracy": 1, "eer": -1, "min_dcf": -1, "r_at_1": 1, "r_at_5": 1, "clips_per_second": 1,
}  # fmt: skip
"""Metric -> 1 where more is better, -1 where less is; the others are neither."""
WORDS: dict[str, str] = {
    "accuracy": "accuracy, %", "eer": "equal error rate, %", "min_dcf": "minDCF, 0 to 1", "r_at_1": "found first, %",
    "r_at_5": "found among five, %", "alignment": "alignment", "uniformity": "uniformity", "rankme": "effective rank",
    "cka": "CKA, 0 to 1", "seconds": "seconds", "parameters": "parameters",
    "multiply_adds": "multiply-adds a second of sound", "clips_per_second": "clips a second",
}  # fmt: skip
"""Metric -> what stands at the head of its column."""


def write(metric: str, value: float) -> str:
    """Return a figure as text, without its unit.

    Example:
        >>> write("accuracy", 95.1234), write("min_dcf", 0.5), write("parameters", 1234567.0)
        ('95.1', '0.500', '1,234,567')
    """
    if metric in COUNTS:
        return f"{value:,.0f}"
    if metric == "seconds":
        return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
    if metric in PERCENT or metric in ("rankme", "clips_per_second"):
        return f"{value:,.1f}"
    return f"{value:.3f}".replace("-", "\N{MINUS SIGN}")


def with_unit(metric: str, value: float) -> str:
    """Return a figure as text with its unit.

    Example:
        >>> with_unit("eer", 12.0), with_unit("seconds", 90.0)
        ('12.0 %', '90 s')
    """
    text = write(metric, value)
    return f"{text} %" if metric in PERCENT else f"{text} s" if metric == "seconds" else text


def head(metric: str) -> str:
    """Return a metric's words; an unknown one keeps its name."""
    return WORDS.get(metric, metric.replace("_", " "))


def duration(seconds: float) -> str:
    """Return a time for people.

    Example:
        >>> duration(42.0), duration(3456.0), duration(90000.0)
        ('42 s', '58 min', '25 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 * 2 else f"{seconds / 3600:.0f} h"


def listed(words: list[str]) -> str:
    """Return words as a sentence has them.

    Example:
        >>> listed(["a", "b", "c"])
        'a, b and c'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
