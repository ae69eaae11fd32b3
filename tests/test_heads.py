import numpy as np
import pytest
import torch

from mfcl.embeddings.whitening import fit_whitening
from mfcl.errors import RecipeError
from mfcl.models.heads import HeadSettings, Neck, NeckSettings, ProjectionHead, make_heads


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_head_has_as_many_linear_layers_as_asked(layers: int) -> None:
    head = make_heads({"wave": 12}, HeadSettings(layers=layers, width=7, out=5), seed=0)["wave"]
    assert isinstance(head, ProjectionHead)
    assert sum(isinstance(part, torch.nn.Linear) for part in head.modules()) == layers
    assert head(torch.randn(3, 12)).shape == (3, 5)
    assert head.out == 5


def test_no_layers_is_the_embedding_itself() -> None:
    head = ProjectionHead(12, HeadSettings(layers=0))
    embedding = torch.randn(3, 12)
    assert torch.equal(head(embedding), embedding)
    assert head.out == 12


def test_without_a_head_the_embeddings_must_be_equally_long() -> None:
    make_heads({"wave": 12, "mel": 12}, HeadSettings(layers=0), seed=0)
    with pytest.raises(RecipeError, match="wave 12, mel 13"):
        make_heads({"wave": 12, "mel": 13}, HeadSettings(layers=0), seed=0)


def test_a_projection_depends_on_its_embedding_alone() -> None:
    head = make_heads({"wave": 12}, HeadSettings(width=16), seed=0)["wave"].train()
    embedding = torch.randn(4, 12)
    assert torch.allclose(head(embedding)[1:2], head(embedding[1:2]), atol=1e-6)


def test_the_seed_alone_gives_the_weights_and_the_global_generator_stays() -> None:
    dims = {"wave": 6, "mel": 6}
    before = torch.random.get_rng_state()
    heads = [make_heads(dims, HeadSettings(width=4, out=3), seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(before, torch.random.get_rng_state())
    first, again, other = (torch.cat([p.flatten() for p in head.parameters()]) for head in heads)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(heads[0]["wave"].layers[0].weight, heads[0]["mel"].layers[0].weight)


@pytest.mark.parametrize("wrong", [{"layers": -1}, {"width": 0}, {"out": 0}])
def test_wrong_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(RecipeError, match="head"):
        HeadSettings(**wrong)


def test_a_neck_gives_the_main_directions_and_what_the_loss_sees():
    draw = np.random.default_rng(0)
    wide = (draw.standard_normal((400, 6)) * [9, 1, 3, 0.1, 1, 1] + 5).astype(np.float32)
    neck = Neck(6, NeckSettings(layers=2, width=7, out=4, directions=3))
    neck.turn(fit_whitening(wide))
    pooled = torch.from_numpy(wide)
    found = neck(pooled).detach()
    assert found.shape == (400, 7)
    assert neck.dims == {"": 3, "projection": 4}
    torch.testing.assert_close(found[:, :3].mean(dim=0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.cov(found[:, :3].T), torch.eye(3), atol=0.02, rtol=0)
    seen = neck.project(pooled).detach()
    torch.testing.assert_close(found[:, 3:], 3**0.5 * seen / seen.norm(dim=1, keepdim=True))


def test_a_neck_of_few_recordings_has_zeros_where_no_direction_is_known():
    neck = Neck(6, NeckSettings(layers=1, out=2, directions=5))
    pooled = torch.arange(18.0).reshape(3, 6).sin()
    assert not neck(pooled)[:, :5].any()  # nothing is known before it is turned
    neck.turn(fit_whitening(pooled.numpy()))
    found = neck(pooled)[:, :5]
    assert found[:, :2].abs().min() > 0  # three recordings differ in two directions
    assert not found[:, 2:].any()
    neck.turn(fit_whitening(pooled.numpy()[:2]))
    assert not neck(pooled)[:, 1:5].any()  # nothing is left of an earlier turn


def test_a_neck_without_directions_is_its_projection():
    neck = Neck(6, NeckSettings(layers=2, width=7, out=4, directions=0))
    found = neck(torch.randn(3, 6, generator=torch.Generator().manual_seed(0)))
    assert neck.dims == {"projection": 4}
    assert found.norm(dim=1).tolist() == pytest.approx([2.0, 2.0, 2.0])


@pytest.mark.parametrize(
    ("wrong", "line"),
    [({"layers": 0}, "neck: null keeps what is pooled as it is"), ({"directions": -1}, "neck.directions: wanted")],
)
def test_a_neck_without_a_projection_is_refused(wrong, line):
    with pytest.raises(RecipeError, match=line):
        NeckSettings(**wrong)
