"""A server that is killed at any moment loses no label that it said was saved."""

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.small_explore import PER_PITCH, WRITES, serving, unpacked, write_collection

LABELS, KILLS = (200, 20) if os.environ.get("MFCL_ALL_KILLS") else (30, 3)
"""At least 200 labels and twenty kills with MFCL_ALL_KILLS set."""
COUNT = 3 * PER_PITCH
SOON = 0.02
"""Seconds within which the kill comes, while labels are sent one after another: about three of them."""


def cell(number: int) -> tuple[str, int, str]:
    """Column, clip and label of the label of a number; no two are of one cell."""
    return f"column {number // COUNT}", number % COUNT, f"label {number}"


def send(own: httpx.Client, number: int) -> bool:
    """Give a label; return whether the server said that it is saved."""
    column, clip, label = cell(number)
    body = {"column": column, "how": "picked", "cells": [[clip, "label", label]]}
    try:
        return own.post("/api/steps", content=json.dumps(body), headers=WRITES).status_code == 200
    except httpx.TransportError:
        return False


def test_no_label_that_was_said_to_be_saved_is_lost_by_kills(tmp_path):
    place, draws, said = write_collection(tmp_path), random.Random(0), 0
    for _ in range(KILLS):
        with opened(place) as (own, process):
            check(own, said)
            for _ in range(draws.randint(5, 11)):
                assert send(own, said)
                said += 1
            kill = threading.Timer(draws.uniform(0, SOON), process.kill)
            kill.start()
            while send(own, said):  # until one is in the midst of being written
                said += 1
            kill.join()
            assert process.wait(timeout=60) == -signal.SIGKILL
    with opened(place) as (own, _):
        check(own, said)
        while said < LABELS:
            assert send(own, said)
            said += 1
        check(own, said)
    book = sqlite3.connect(tmp_path / "clips.explore" / "labels.db")
    assert book.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    kept = {label for (label,) in book.execute("SELECT after FROM changes WHERE kind = 'label'")}
    book.close()
    print(f"{said} labels said to be saved, {KILLS} kills, {len(kept)} labels kept")
    told = {cell(number)[2] for number in range(said)}
    assert told <= kept <= told | {cell(said)[2]}  # the last kill may have come after one was saved, before it was said


@contextlib.contextmanager
def opened(place: Path) -> Iterator[tuple[httpx.Client, "subprocess.Popen[str]"]]:
    """A server, and a client that it knows."""
    with (
        serving(place) as (address, process),
        httpx.Client(base_url=address.split("/?")[0], follow_redirects=True, timeout=60) as own,
    ):
        assert own.get("/", params={"token": address.split("token=")[1]}).status_code == 200
        yield own, process


def check(own: httpx.Client, said: int) -> None:
    """Every label that was said to be saved is on the page again."""
    columns = {cell(number)[0] for number in range(said)}
    found = {column: unpacked(own.get("/api/labels", params={"column": column}).content) for column in columns}
    for number in range(said):
        column, clip, label = cell(number)
        about, arrays = found[column]
        assert about["values"][arrays["codes"][clip]] == label
