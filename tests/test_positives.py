import numpy as np
import pytest
import torch

from mfcl.embeddings.diffusion import powered_cosine_graph
from mfcl.training import positives as module
from mfcl.training.positives import Neighbourhood


def made(recordings: int = 200, **options) -> Neighbourhood:
    return Neighbourhood(recordings, **{"positives": 3, "ambiguous": 8, "seed": 0, **options})


def vectors(items: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((items, 6)).astype(np.float32)


def test_partners_are_drawn_evenly_from_those_most_alike():
    found = made()
    found.renew(powered_cosine_graph(vectors(200)))
    near = found.near.numpy()
    recordings = np.arange(200)
    drawn = np.stack([found.partners(recordings, epoch) for epoch in range(300)])
    for item in recordings:
        counts = [int((drawn[:, item] == other).sum()) for other in near[item, :3]]
        assert sum(counts) == 300
        assert min(counts) > 60
    assert (found.partners(recordings, 7) == drawn[7]).all()
    assert (found.partners(recordings[50:60], 7) == drawn[7, 50:60]).all()  # whatever else is in the batch


def test_relations_are_those_of_the_lists_both_ways():
    found = made()
    found.renew(powered_cosine_graph(vectors(200)))
    near = found.near.numpy()
    recordings = np.array([5, 17, near[5, 0], near[17, 2], near[5, 7], 99, 5])  # one is there twice
    related = found.relations(torch.from_numpy(recordings))
    for table, depth in ((related.same, 3), (related.ambiguous, 8)):
        for one, left in enumerate(recordings):
            for other, right in enumerate(recordings):
                wanted = left == right or right in near[left, :depth] or left in near[right, :depth]
                assert bool(table[one, other]) == wanted, (left, right, depth)
    assert related.same[0, 6]
    assert related.same[0, 2]
    assert related.ambiguous[0, 4]
    assert not related.same[0, 5]


def test_rows_of_some_recordings_are_those_of_all():
    found = made(1000, positives=5, ambiguous=20)
    found.renew(powered_cosine_graph(vectors(len(found.members))))
    recordings = np.concatenate([np.random.default_rng(0).permutation(1000)[:60], found.members[found.near[3, :4]]])
    recordings = torch.from_numpy(recordings)
    whole, own = found.relations(recordings), torch.tensor([60, 3, 17, 61, 0])
    some = found.relations(recordings, own=own)
    assert torch.equal(some.same, whole.same[own])
    assert torch.equal(some.ambiguous, whole.ambiguous[own])
    assert whole.same.sum() > len(recordings)
    assert torch.equal(whole.same, whole.same.T)


def test_before_they_are_looked_for_each_recording_has_itself_alone():
    found = made()
    assert (found.partners(np.arange(200), 0) == np.arange(200)).all()
    related = found.relations(torch.tensor([3, 8, 3]))
    expected = torch.tensor([[1, 0, 1], [0, 1, 0], [1, 0, 1]], dtype=torch.bool)
    assert torch.equal(related.same, expected)
    assert torch.equal(related.ambiguous, expected)


def test_of_very_many_recordings_some_are_compared_and_the_others_are_alone(monkeypatch):
    monkeypatch.setattr(module, "MOST", 150)
    found = made(1000)
    assert len(found.members) == 150 == len(set(found.members.tolist()))
    found.renew(powered_cosine_graph(vectors(150)))
    everyone = np.arange(1000)
    drawn = found.partners(everyone, 0)
    outside = np.setdiff1d(everyone, found.members)
    assert (drawn[outside] == outside).all()
    assert (drawn[found.members] != found.members).all()
    assert np.isin(drawn, found.members)[found.members].all()
    some = np.concatenate([outside[:3], found.members[:2], found.members[found.near[0, :1].numpy()]])
    related = found.relations(torch.from_numpy(some))
    assert torch.equal(related.same[:3, :3], torch.eye(3, dtype=torch.bool))
    assert not related.ambiguous[:3, 3:].any()
    assert related.same[3, 5]


@pytest.mark.parametrize(("recordings", "positives"), [(3, 0), (39, 0), (40, 1), (100, 2), (400, 3)])
def test_of_few_recordings_few_are_the_same(recordings, positives):
    found = made(recordings)
    assert found.positives == positives
    assert (found.partners(np.arange(recordings), 0) == np.arange(recordings)).all()


def test_the_list_is_part_of_the_state_and_the_seed_draws_the_members(monkeypatch):
    monkeypatch.setattr(module, "MOST", 60)
    one, again, other = made(100), made(100), made(100, seed=1)
    assert (one.members == again.members).all()
    assert (one.members != other.members).any()
    one.renew(powered_cosine_graph(vectors(60)))
    again.load_state_dict(one.state_dict())
    assert (one.partners(np.arange(100), 3) == again.partners(np.arange(100), 3)).all()
