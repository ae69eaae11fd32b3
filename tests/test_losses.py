import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mfcl.errors import RecipeError
from mfcl.models.losses import (
    TERMS,
    ContrastiveLoss,
    LossSettings,
    OwnRows,
    Related,
    chance_loss,
    many_positives,
    nt_xent,
    spread,
    top1_accuracy,
)


def drawn(items: int, dim: int, seed: int) -> Tensor:
    return torch.randn(items, dim, generator=torch.Generator().manual_seed(seed))


def cosine(u: Tensor, v: Tensor) -> float:
    return float((u.double() @ v.double()) / (u.double().norm() * v.double().norm()))


def formula(a: Tensor, b: Tensor, temperature: float) -> float:
    """Equation 1 of arXiv:2002.05709, and the mean over (2k-1, 2k) and (2k, 2k-1) of its algorithm 1."""
    z = [*a, *b]
    count = len(a)
    total = 0.0
    for i in range(2 * count):
        j = i + count if i < count else i - count
        below = sum(math.exp(cosine(z[i], z[k]) / temperature) for k in range(2 * count) if k != i)
        total -= math.log(math.exp(cosine(z[i], z[j]) / temperature) / below)
    return total / (2 * count)


@given(items=st.integers(1, 6), dim=st.integers(2, 7), temperature=st.floats(0.05, 2), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_the_loss_is_the_papers_formula(items: int, dim: int, temperature: float, seed: int) -> None:
    a, b = drawn(items, dim, seed), 3 * drawn(items, dim, seed + 100)
    assert float(nt_xent(a, b, temperature)) == pytest.approx(formula(a, b, temperature), rel=1e-4, abs=1e-5)


def test_the_loss_is_symmetric() -> None:
    a, b = drawn(5, 4, 0), drawn(5, 4, 1)
    assert torch.allclose(nt_xent(a, b, 0.1), nt_xent(b, a, 0.1))
    assert not torch.allclose(nt_xent(a, b, 0.1), nt_xent(a, b.flip(0), 0.1))


@pytest.mark.parametrize("items", [1, 2, 17])
@pytest.mark.parametrize("temperature", [0.05, 0.1, 1.0])
def test_projections_without_information_cost_the_chance_line(items: int, temperature: float) -> None:
    same = torch.ones(items, 8)
    assert float(nt_xent(same, same, temperature)) == pytest.approx(chance_loss(items), abs=1e-5)


@pytest.mark.parametrize("terms", ["inter", "inter+intra", "wave-wave", "mel-mel"])
def test_either_kind_of_loss_shares_the_chance_line(terms: str) -> None:
    same = torch.ones(6, 8)
    first, second = (dict.fromkeys(formats, same) for formats in TERMS[terms])
    loss, watched = ContrastiveLoss(LossSettings(terms=terms))(first, second)
    assert loss.item() == pytest.approx(chance_loss(6), abs=1e-5)
    assert float(watched["top1"]) == 0
    assert float(watched["spread"]) == pytest.approx(0, abs=1e-3)


def test_inter_compares_the_first_waveform_with_the_second_mel_alone() -> None:
    wave, mel = drawn(5, 4, 0), drawn(5, 4, 1)
    loss, _ = ContrastiveLoss(LossSettings())({"wave": wave}, {"mel": mel})
    assert loss.item() == pytest.approx(formula(wave, mel, 0.1), rel=1e-4)


def test_inter_and_intra_is_the_mean_of_all_pairs_of_crops() -> None:
    wave, mel, other_wave, other_mel = (drawn(5, 4, seed) for seed in range(4))
    loss, _ = ContrastiveLoss(LossSettings(terms="inter+intra"))(
        {"wave": wave, "mel": mel}, {"wave": other_wave, "mel": other_mel}
    )
    between = formula(wave, other_mel, 0.1) + formula(mel, other_wave, 0.1)
    within = formula(wave, other_wave, 0.1) + formula(mel, other_mel, 0.1)
    assert loss.item() == pytest.approx((between + within) / 4, rel=1e-4)


@pytest.mark.parametrize("format", ["wave", "mel"])
def test_one_format_alone_is_compared_with_itself_across_crops(format: str) -> None:
    one, other = drawn(5, 4, 0), drawn(5, 4, 1)
    loss, watched = ContrastiveLoss(LossSettings(terms=f"{format}-{format}"))({format: one}, {format: other})
    assert loss.item() == pytest.approx(formula(one, other, 0.1), rel=1e-4)
    assert torch.equal(watched["top1"], top1_accuracy(one, other))
    assert torch.equal(watched["spread"], spread(one, other))


def test_between_formats_the_waveform_and_the_mel_of_other_crops_are_watched() -> None:
    wave, mel, other_wave, other_mel = (drawn(5, 4, seed) for seed in range(4))
    _, watched = ContrastiveLoss(LossSettings(terms="inter+intra"))(
        {"mel": mel, "wave": wave}, {"wave": other_wave, "mel": other_mel}
    )
    assert torch.equal(watched["top1"], top1_accuracy(wave, other_mel))
    assert torch.equal(watched["spread"], spread(wave, other_mel))


def test_half_precision_projections_are_compared_in_full_precision() -> None:
    a, b = drawn(5, 4, 0).bfloat16(), drawn(5, 4, 1).bfloat16()
    assert torch.equal(nt_xent(a, b, 0.1), nt_xent(a.float(), b.float(), 0.1))


@pytest.mark.parametrize("push", [-1.0, 1.0])
def test_a_learned_temperature_starts_where_asked_and_stays_in_bounds(push: float) -> None:
    loss = ContrastiveLoss(LossSettings(learned=True, temperature=0.1, lowest=0.02, highest=0.5))
    assert loss.temperature().item() == pytest.approx(0.1, rel=1e-5)
    optimiser = torch.optim.SGD(loss.parameters(), lr=5.0)
    for _ in range(50):
        optimiser.zero_grad()
        (push * loss.temperature()).backward()  # pulls it down or up as hard as it can
        optimiser.step()
    reached = loss.temperature().item()
    assert 0.02 <= reached <= 0.5
    assert abs(reached - 0.1) > 0.03  # it did move


def test_a_learned_temperature_has_the_formulas_gradient() -> None:
    loss = ContrastiveLoss(LossSettings(learned=True))
    a, b = drawn(4, 3, 0), drawn(4, 3, 1)
    loss({"wave": a}, {"mel": b})[0].backward()
    step = 1e-3
    with torch.no_grad():
        start = float(loss.place)
        ends = []
        for place in (start - step, start + step):
            loss.place.fill_(place)
            ends.append(formula(a, b, float(loss.temperature())))
    assert float(loss.place.grad) == pytest.approx((ends[1] - ends[0]) / (2 * step), rel=1e-2)


def test_a_fixed_temperature_is_no_parameter() -> None:
    assert not list(ContrastiveLoss(LossSettings()).parameters())


def test_top1_counts_both_directions() -> None:
    a = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert float(top1_accuracy(a, a)) == 1
    assert float(top1_accuracy(a, a.flip(0))) == 0
    # the first of `a` finds its own; the second finds the first; seen from `b` both find their own
    b = torch.tensor([[0.8, 0.6], [-0.9, 0.1]])
    found = [max(range(2), key=lambda j: cosine(a[i], b[j])) == i for i in range(2)]
    found += [max(range(2), key=lambda j: cosine(b[i], a[j])) == i for i in range(2)]
    assert float(top1_accuracy(a, b)) == sum(found) / 4


def test_a_tie_is_a_miss() -> None:
    assert float(top1_accuracy(torch.ones(4, 3), torch.ones(4, 3))) == 0


def test_spread_is_one_all_around_the_sphere_and_the_least_of_all_views() -> None:
    around = torch.cat([torch.eye(4), -torch.eye(4)])
    assert float(spread(around)) == pytest.approx(1)
    assert float(spread(around, torch.ones(8, 4))) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"terms": "intra"}, "inter"),
        ({"temperature": 0.0}, "loss.temperature: wanted a number from 0.0001 to 100"),
        ({"learned": True, "temperature": 2.0}, "loss.highest"),
        ({"learned": True, "lowest": 0.1}, "loss.lowest"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(wrong: dict[str, object], word: str) -> None:
    with pytest.raises(RecipeError, match=word) as caught:
        LossSettings(**wrong)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def related(items: int, same: list[tuple[int, int]], ambiguous: list[tuple[int, int]]) -> Related:
    tables = []
    for pairs in (same, [*same, *ambiguous]):
        table = torch.eye(items, dtype=torch.bool)
        for one, other in pairs:
            table[one, other] = table[other, one] = True
        tables.append(table)
    return Related(*tables)


def by_hand(views: Tensor, relation: Related, of: list[int], temperature: float) -> float:
    """Equation 2 of arXiv:2004.11362 with some pairs left out of the sum below."""
    total = 0.0
    for i, own in enumerate(of):
        others = [k for k in range(len(of)) if k != i]
        positives = [k for k in others if relation.same[own, of[k]]]
        counted = [k for k in others if k in positives or not relation.ambiguous[own, of[k]]]
        below = sum(math.exp(cosine(views[i], views[k]) / temperature) for k in counted)
        above = [math.log(math.exp(cosine(views[i], views[k]) / temperature) / below) for k in positives]
        total -= sum(above) / len(positives)
    return total / len(of)


@given(seed=st.integers(0, 99), temperature=st.floats(0.1, 2))
@settings(max_examples=25, deadline=None)
def test_many_positives_cost_what_the_formula_says(seed: int, temperature: float) -> None:
    relation = related(5, [(0, 1), (3, 4)], [(0, 2), (1, 4)])
    of = [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 2]
    views = 2 * drawn(len(of), 4, seed)
    found = many_positives(views, relation, torch.tensor(of), temperature)
    assert float(found) == pytest.approx(by_hand(views, relation, of, temperature), rel=1e-4)


def test_items_related_to_themselves_alone_cost_what_nt_xent_says() -> None:
    a, b = drawn(6, 5, 0), drawn(6, 5, 1)
    found = many_positives(torch.cat([a, b]), related(6, [], []), torch.arange(6).repeat(2), 0.2)
    assert torch.allclose(found, nt_xent(a, b, 0.2))


def test_left_out_negatives_have_no_gradient_and_the_others_do() -> None:
    views = drawn(8, 4, 3).requires_grad_()
    of = torch.arange(4).repeat(2)
    pulled = []
    for ambiguous in ([], [(0, 1), (0, 2), (0, 3)]):
        (gradient,) = torch.autograd.grad(many_positives(views, related(4, [], ambiguous), of, 0.1), views)
        assert torch.isfinite(gradient).all()
        pulled.append(gradient)
    alone = torch.autograd.grad(many_positives(views[[0, 4]], related(1, [], []), torch.zeros(2).long(), 0.1), views)[0]
    assert not alone.any()  # a pair without a negative has nothing to learn, and so has item 0 when it has none
    assert not pulled[1][[0, 4]].any()
    assert pulled[0][[0, 4]].abs().min() > 0


@pytest.mark.parametrize(("terms", "views"), [("inter", 2), ("inter+intra", 4), ("mel-mel", 2)])
def test_all_views_of_related_recordings_attract_each_other(terms: str, views: int) -> None:
    sides = [{format: drawn(3, 6, 10 * side + place) for place, format in enumerate(formats)}
             for side, formats in enumerate(TERMS[terms])]  # fmt: skip
    relation = related(6, [(0, 3), (1, 4), (2, 5), (0, 4)], [(1, 2)])  # first crops are items 0 to 2, second 3 to 5
    loss, watched = ContrastiveLoss(LossSettings(terms=terms))(*sides, relation)
    stacked = [*sides[0].values(), *sides[1].values()]
    of = [*[0, 1, 2] * len(sides[0]), *[3, 4, 5] * len(sides[1])]
    assert len(stacked) == views
    assert float(loss) == pytest.approx(by_hand(torch.cat(stacked), relation, of, 0.1), rel=1e-4)
    assert set(watched) == {"top1", "temperature", "spread"}


@pytest.mark.parametrize(
    "wrong", [{"neighbours": 3, "ambiguous": 2}, {"neighbours": -1}, {"neighbours": 2, "searches": 0}]
)
def test_neighbours_that_cannot_be_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(RecipeError, match=r"loss\.neighbours"):
        LossSettings(**wrong)  # type: ignore[arg-type]


def shares(items: int, count: int) -> list[slice]:
    return [slice(items * share // count, items * (share + 1) // count) for share in range(count)]


@pytest.mark.parametrize("count", [2, 3, 6])
def test_the_mean_over_shares_of_rows_is_the_whole_loss_and_its_gradient(count: int) -> None:
    a, b = (drawn(6, 4, seed).requires_grad_() for seed in (0, 1))
    whole = nt_xent(a, b, 0.2)
    parts = torch.stack([nt_xent(a, b, 0.2, own=own) for own in shares(6, count)])
    assert torch.allclose(parts.mean(), whole, rtol=1e-6)
    wanted, found = torch.autograd.grad(whole, (a, b)), torch.autograd.grad(parts.mean(), (a, b))
    for left, right in zip(found, wanted, strict=True):
        assert torch.allclose(left, right, atol=1e-7)
    hits = torch.stack([top1_accuracy(a, a + 0.8 * b, own=own) for own in shares(6, count)])
    assert float(hits.mean()) == pytest.approx(float(top1_accuracy(a, a + 0.8 * b)))


@pytest.mark.parametrize("count", [1, 2, 4])
def test_shares_of_rows_with_many_positives_are_the_whole_loss(count: int) -> None:
    views, of = drawn(16, 5, 3).requires_grad_(), torch.arange(8).repeat(2)
    relation = related(8, [(0, 5), (2, 3)], [(1, 4), (6, 7)])
    whole = many_positives(views, relation, of, 0.3)
    found = []
    for own in shares(8, count):
        rows = Related(relation.same[own], relation.ambiguous[own])
        places = torch.arange(16).reshape(2, 8)[:, own]
        mine = OwnRows(places.flatten(), torch.arange(places.shape[1]).repeat(2))
        found.append(many_positives(views, rows, of, 0.3, own=mine))
    mean = torch.stack(found).mean()
    assert torch.allclose(mean, whole, rtol=1e-6)
    left, right = (torch.autograd.grad(loss, views)[0] for loss in (mean, whole))
    assert torch.allclose(left, right, atol=1e-7)


class Largest(TorchDispatchMode):
    """Keeps the number of values of the largest tensor that is made, indices aside."""

    def __init__(self) -> None:
        super().__init__()
        self.values = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else (made,):
            if isinstance(one, Tensor) and one.dtype != torch.int64:
                self.values = max(self.values, one.numel())
        return made


@pytest.mark.parametrize("own", [4, 8, 16])
def test_memory_of_a_share_grows_with_its_rows_not_with_the_square_of_all(own: int) -> None:
    items, dim = 64, 8
    a, b = (drawn(items, dim, seed).requires_grad_() for seed in (0, 1))
    with Largest() as largest:
        nt_xent(a, b, 0.1, own=slice(0, own)).backward()
        top1_accuracy(a, b, own=slice(0, own))
    assert largest.values == max(2 * own * 2 * items, 2 * items * dim)
    views, of = torch.cat([a, b]), torch.arange(items).repeat(2)
    relation = Related(torch.eye(items, dtype=torch.bool)[:own], torch.eye(items, dtype=torch.bool)[:own])
    mine = OwnRows(torch.arange(items).repeat(2).reshape(2, -1)[:, :own].flatten(), torch.arange(own).repeat(2))
    with Largest() as largest:
        many_positives(views, relation, of, 0.1, own=mine).backward()
    assert largest.values == max(2 * own * 2 * items, 2 * items * dim)
