import numpy as np
import pytest
import torch

from mfcl.errors import TrainingError
from mfcl.views.random_draws import Draws, Numbers, cells, known


def draws(recordings: np.ndarray, *, seed: int = 0, stream: str = "test", epoch: int = 0) -> Draws:
    return Draws(Numbers(seed, epoch, recordings), stream, torch.device("cpu"))


def test_a_clips_draws_do_not_depend_on_its_batch() -> None:
    everything, some = draws(np.arange(20)), draws(np.array([7, 3]))
    lengths = torch.arange(20) * 100 + 1
    assert torch.equal(some.even("a", -2.0, 5.0), everything.even("a", -2.0, 5.0)[[7, 3]])
    pieces = zip(some.piece("b", 90.0, lengths[[7, 3]]), everything.piece("b", 90.0, lengths), strict=True)
    assert all(torch.equal(one, all_[[7, 3]]) for one, all_ in pieces)
    assert torch.equal(some.keys("c"), everything.keys("c")[[7, 3]])


def test_every_name_stream_seed_and_epoch_has_draws_of_its_own() -> None:
    recordings = np.arange(5)
    sources = [draws(recordings), draws(recordings, seed=1), draws(recordings, stream="x"), draws(recordings, epoch=1)]
    drawn = [tuple(source.share(name).tolist()) for source in sources for name in ("a", "b")]
    assert len(set(drawn)) == len(drawn)
    assert tuple(draws(recordings).share("a").tolist()) == drawn[0]


def test_numbers_fill_their_range() -> None:
    many = draws(np.arange(4000))
    even = many.even("a", -2.0, 6.0)
    assert -2 <= even.min() < -1.95 < 5.95 < even.max() <= 6
    assert abs(even.mean() - 2) < 0.2
    whole = many.whole("b", torch.full((4000,), 3))
    assert (torch.bincount(whole) > 900).all()
    assert len(torch.bincount(whole)) == 4
    assert abs(int((many.share("c") < 0.25).sum()) - 1000) < 100
    assert many.share("c").min() > 0
    assert many.share("c").max() < 1


def test_numbers_drawn_before_are_the_same() -> None:
    fresh = draws(np.arange(9), epoch=3)
    names = [f"test: {name}" for name in ("a", "b")]
    table = fresh.numbers.table(names, torch.device("cpu"))
    again = Draws(table, "test", torch.device("cpu"))
    for name in ("a", "b"):
        assert torch.equal(again.even(name, -1.0, 2.0), fresh.even(name, -1.0, 2.0))
        assert torch.equal(again.keys(name), fresh.keys(name))
        assert torch.equal(table.rows(slice(2, 5)).uniform(f"test: {name}"), fresh.share(name)[2:5])
    with pytest.raises(TrainingError, match="no numbers were drawn for 'test: c'"):
        again.even("c", 0.0, 1.0)


def test_pieces_lie_inside_and_are_at_most_half() -> None:
    lengths = torch.arange(1, 501)
    starts, counts = draws(np.arange(500)).piece("a", 80.0, lengths)
    assert (starts >= 0).all()
    assert (starts + counts <= lengths).all()
    assert (2 * counts <= lengths).all()
    assert 70 < counts.max() <= 80


def test_keys_differ() -> None:
    assert len(set(draws(np.arange(1000)).keys("a").tolist())) == 1000


def test_sizes_of_a_batch() -> None:
    clips = torch.zeros(2, 3, 7)
    assert known(clips, None).tolist() == [7, 7]
    lengths = torch.tensor([7, 2])
    assert known(clips, lengths) is lengths
    assert cells(2.6, lengths).tolist() == [3, 3]
