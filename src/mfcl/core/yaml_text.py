"""YAML for settings: plain values of bounded size and depth, without duplicate keys, anchors or tags."""

from collections.abc import Hashable
from typing import Any

import yaml

from mfcl.errors import RecipeError, shown

MOST_LETTERS = 2**18
"""Most characters of a YAML text; the longest shipped recipe has under 2,000."""
DEEPEST = 20
"""Most levels of nested lists and groups; recipes have three."""


class _Loader(yaml.SafeLoader):
    """The safe loader with limits; dates are read as text."""

    depth = 0
    yaml_implicit_resolvers = {  # noqa: RUF012 (the base declares it)
        sign: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for sign, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise RecipeError(f"anchors (&) and aliases (*) are not used here; write {shown(event.anchor)} out")
        if getattr(event, "tag", None):
            raise RecipeError(f"tags (!) are not used here; leave {shown(event.tag)} out")
        if self.depth >= DEEPEST:
            raise RecipeError(f"wanted at most {DEEPEST} levels of lists and groups, got more")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
            if name is None:
                raise RecipeError(
                    f"line {key.start_mark.line + 1}: wanted a name before the colon, got a list or group"
                )
            if key.tag.endswith(":merge"):
                raise RecipeError(f"line {key.start_mark.line + 1}: `<<` is not used here; write the settings out")
            if name in seen:
                raise RecipeError(f"line {key.start_mark.line + 1}: {shown(key.value)} appears twice; keep one")
            seen.add(name)
        return super().construct_mapping(node, deep=True)


def read_yaml(text: str) -> Any:
    """Return the plain values of a YAML text.

    Raises:
        RecipeError: not YAML, a duplicate key, an anchor or tag, or too long or deep; the caller adds the file's name.
    """
    if len(text) > MOST_LETTERS:
        raise RecipeError(f"wanted at most {MOST_LETTERS} characters, got {len(text)}")
    try:
        return yaml.load(text, _Loader)  # noqa: S506 (a child of the safe one)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        told = " ".join(str(error).split())
        raise RecipeError(told if len(told) <= 300 else told[:300] + "...") from error
