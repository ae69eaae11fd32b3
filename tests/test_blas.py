"""BLAS has one thread while any block asks for it, and its own number after the last of them."""

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from mfcl.core.blas import SMALL, one_blas_thread
from mfcl.labelling.logistic import fit_classifiers


def threads() -> set[int]:
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


@pytest.fixture
def own():
    """Let BLAS have two threads; by a thread of its own, which then no longer decides: one that lives on would."""
    before = threads()
    begin(2)
    yield threads()  # of some libraries it is always one, and of others nobody can tell
    begin(max(before, default=1))


def begin(count):
    worker = threading.Thread(target=threadpool_limits, args=(count, "blas"))
    worker.start()
    worker.join()


def test_blocks_may_lie_in_each_other(own):
    with one_blas_thread():
        with one_blas_thread():
            assert threads() <= {1}
        assert threads() <= {1}
    assert threads() == own


def test_what_ends_in_an_error_gives_the_threads_back(own):
    with pytest.raises(ValueError, match="as it is"), one_blas_thread():
        raise ValueError("as it is")
    assert threads() == own


def test_large_matrices_are_left_to_the_threads_of_blas(own):
    with one_blas_thread(SMALL + 1):
        assert threads() == own
    with one_blas_thread(SMALL):
        assert threads() <= {1}


def test_blocks_of_several_threads_overlap_and_all_give_the_threads_back(own):
    begun, ended, seen = threading.Event(), threading.Event(), []

    def first():
        with one_blas_thread():
            seen.append(threads())
            begun.set()
            ended.wait(20)

    def second():
        begun.wait(20)
        with one_blas_thread():
            seen.append(threads())
            ended.set()
            worker.join()  # this block ends last

    worker, other = threading.Thread(target=first), threading.Thread(target=second)
    worker.start()
    other.start()
    other.join()
    assert all(one <= {1} for one in seen)
    assert len(seen) == 2
    assert threads() == own


def test_a_probe_is_fitted_by_one_thread(own, monkeypatch):
    found = []
    before = np.linalg.eigh
    monkeypatch.setattr(np.linalg, "eigh", lambda table: found.append(threads()) or before(table))
    drawn = np.random.default_rng(0)
    x, y = drawn.standard_normal((30, 5)).astype(np.float32), np.arange(30) % 2
    fit_classifiers(x, y, standard=x, strengths=[1.0])
    assert len(found) == 1
    assert found[0] <= {1}
