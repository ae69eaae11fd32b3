"""Ways to spoil bytes, plain values and tables; all chance comes from the generator that is given."""

import copy
import json
import random
import struct
from typing import Any

HUGE = (-1, 0, 1, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)
ODD_TEXTS = (
    *(
        "",
        " ",
        "\0",
        "\n",
        "\r",
        "x\ny",
        "-",
        "nan",
        "inf",
        "-inf",
        "1e999",
        "1e-999",
        "0x10",
        "9" * 5000,
        "x" * 70_000,
    ),
    *("../../outside", "/dev/zero", "/dev/null", "/proc/self/mem", ".", "..", "~", "é" * 300, "\u202e", "\U0001f399"),
    *("</script><script>", "{{ 7 * 7 }}", "%s%n", "true", "null", "[]", "{}", "\ufeff", "1_000", "\u0661"),
)
ODD_VALUES = (
    *(None, True, False, -1, 0, 1, 2, 3, 7, 1_000_000, 2**31, 2**63, 2**64, 10**30, -(10**30), 10**400),
    *(0.5, -0.5, 1e-300, 1e300, float("nan"), float("inf"), float("-inf"), [], {}, [None], [[]], {"": ""}, [1, "a"]),
)
DEPTHS = (50, 2_000, 100_000)


def spoil_bytes(chance: random.Random, data: bytes) -> bytes:
    """Return bytes with one to four faults: flipped bits, cuts, repeats, lies about lengths, noise."""
    spoilt = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        _spoil_once(chance, spoilt)
    return bytes(spoilt)


def _spoil_once(chance: random.Random, data: bytearray) -> None:
    # half of all faults lie at the beginning, where headers are
    place = chance.randrange(min(len(data), 100) if chance.random() < 0.5 else len(data)) if data else 0
    size = min(chance.choice((1, 2, 4, 8, 64, 1000)), max(len(data) - place, 1))
    way = chance.randrange(9)
    if way == 0 and data:
        data[place] ^= 1 << chance.randrange(8)
    elif way == 1:
        del data[place:]
    elif way == 2:
        del data[place : place + size]
    elif way == 3:
        data[place:place] = data[place : place + size] * chance.choice((1, 2, 50))
    elif way == 4:
        data[place : place + size] = chance.randbytes(size)
    elif way == 5:
        data[place : place + size] = chance.choice((b"\0", b"\xff")) * size
    elif way == 6:  # a number, such as a length, that lies
        kind = chance.choice(("<B", "<H", ">H", "<I", ">I", "<Q", ">Q"))
        width = struct.calcsize(kind)
        data[place : place + width] = struct.pack(kind, chance.choice(HUGE) % 256**width)
    elif way == 7:  # one part in the place of another
        other = chance.randrange(len(data)) if data else 0
        data[place : place + size] = data[other : other + size]
    else:
        data[place:place] = chance.randbytes(size)


def spoil_value(chance: random.Random, value: Any) -> Any:
    """Return plain values (as of JSON) of which one or two have become something else, or are gone, or are twice."""
    spoilt = copy.deepcopy(value)
    for _ in range(chance.choice((1, 1, 2))):
        nodes = list(_nodes(spoilt))
        if not nodes:
            return odd_value(chance)
        holder, key = chance.choice(nodes)
        way = chance.randrange(8)
        if way == 0:
            del holder[key]
        elif way == 1:
            other, other_key = chance.choice(nodes)
            holder[key] = copy.deepcopy(other[other_key])
        elif way == 2 and isinstance(holder, dict):
            holder[chance.choice(ODD_TEXTS)] = holder.pop(key)
        elif way == 2:
            holder.extend(holder[key:] * chance.choice((1, 3)))
        elif way == 3:
            holder[key] = str(holder[key])[:1000]
        elif way == 4:
            holder[key] = [holder[key]]
        else:
            holder[key] = odd_value(chance)
    return spoilt


def odd_value(chance: random.Random) -> Any:
    """Return a value that is seldom wanted."""
    return copy.deepcopy(chance.choice(ODD_VALUES if chance.random() < 0.6 else ODD_TEXTS))


def _nodes(value: Any) -> Any:
    """Yield every place in nested lists and dicts; of long lists the first and the last ones."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    for key in keys if len(keys) <= 40 else keys[:20] + keys[-20:]:
        yield value, key
        yield from _nodes(value[key])


def spoil_json(chance: random.Random, text: str) -> bytes:
    """Return JSON with other values in it, or text that is JSON no more."""
    way = chance.random()
    if way < 0.7:
        return encode_json(spoil_value(chance, json.loads(text)))
    if way < 0.8:
        return nested(chance).encode()
    return spoil_bytes(chance, text.encode())


def encode_json(value: Any) -> bytes:
    """Return JSON; Python's own NaN and Infinity are in it, as a careless program would write them."""
    return json.dumps(value).encode("utf-8", "surrogatepass")


def nested(chance: random.Random) -> str:
    """Return lists or dicts in one another, deeper than any reader wants."""
    depth = chance.choice(DEPTHS)
    return chance.choice(("[" * depth, "[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth))


def spoil_table(chance: random.Random, rows: list[list[str]]) -> list[list[str]]:
    """Return a table with odd cells, with rows or columns that are gone, twice, too long or too short."""
    table = [list(row) for row in rows]
    for _ in range(chance.choice((1, 1, 3))):
        row = chance.randrange(len(table))
        column = chance.randrange(len(table[row])) if table[row] else 0
        way = chance.randrange(8)
        if way == 0:
            del table[row][column:]
        elif way == 1:
            table[row].append(chance.choice(ODD_TEXTS))
        elif way == 2:
            table.insert(row, list(chance.choice(table)))
        elif way == 3 and len(table) > 1:
            del table[row]
        elif table[row]:
            table[row][column] = chance.choice(ODD_TEXTS)
    return table


def quoted(rows: list[list[str]]) -> str:
    """Return rows as CSV, every cell in quotes, so that odd cells arrive as they are."""
    return "".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in rows)
