import dataclasses
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import lfilter

from mfcl.errors import RecipeError
from mfcl.models.encoders.base import lengths_of
from mfcl.models.inference import embed_store
from mfcl.models.losses import chance_loss
from mfcl.models.pair import make_model
from mfcl.models.pooling import half
from mfcl.training import Interrupted
from mfcl.training.optim import make_optimiser
from mfcl.training.saving import save_trained
from mfcl.training.steps import learner
from mfcl.training.tasks import neighbours
from mfcl.training.tasks.supervised import Classify, both_formats, likeliest
from mfcl.views.batches import whole_clips
from tests.small_run import few_are_enough, make_task, open_tiny, run_tiny, send_at, tiny, with_neighbours
from tests.sounds import write_corpus


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return open_tiny(write_corpus(tmp_path_factory.mktemp("tasks") / "corpus"), tiny())


def changed(**groups):
    recipe = tiny()
    parts = {name: dataclasses.replace(getattr(recipe, name), **values) for name, values in groups.items()}
    return dataclasses.replace(recipe, **parts)


def test_a_batch_is_a_pure_function_of_recordings_epoch_and_seed(store):
    indices = np.array([3, 1, 7])
    task = make_task(store, tiny())
    one, again, later = (task.batch(indices, epoch) for epoch in (0, 0, 1))
    assert torch.equal(one.views.first.wave, again.views.first.wave)
    assert not torch.equal(one.views.first.wave[:, :200], later.views.first.wave[:, :200])


def test_the_loss_of_a_batch_is_a_pure_function_too(store):
    indices = np.arange(8)
    losses = []
    for _ in range(2):
        task = make_task(store, tiny()).train()
        losses.append(task(task.see(task.batch(indices, 0)))[0])
    assert torch.equal(*losses)


def test_what_is_seen_is_a_function_of_the_batch_and_carries_no_gradient(store):
    task = make_task(store, tiny()).train()
    batch = task.batch(np.arange(8), 1)
    one = task.see(batch)
    for name, weight in task.named_parameters():
        if "filterbank" not in name:
            weight.data.mul_(1.5)  # learned meanwhile
    again = task.see(batch)
    for view, other in ((one.first, again.first), (one.second, again.second)):
        assert view.keys() == other.keys() == {"wave", "mel"}
        for format, (values, lengths) in view.items():
            assert not values.requires_grad
            assert torch.equal(values, other[format][0])
            assert (lengths is None and other[format][1] is None) or torch.equal(lengths, other[format][1])


def test_the_first_crop_stays_a_waveform_and_the_second_becomes_a_mel(store):
    task = make_task(store, changed(loss={"terms": "inter"})).eval()
    batch = task.batch(np.arange(4), 0)
    seen = {}
    task.frames = lambda encoder, name, x, lengths: (
        seen.setdefault(name, []).append((x, lengths)) or encoder.encoder(x, lengths)
    )
    task(task.see(batch))
    assert [len(seen[name]) for name in ("wave", "mel")] == [1, 1]
    assert seen["wave"][0][0].shape[1] == batch.views.first.wave.shape[1]
    wide = 1 + batch.views.second.wave.shape[1] // task.model.mel.front.settings.hop
    assert seen["mel"][0][0].shape == (4, 16, wide)


@pytest.mark.parametrize(("format", "other"), [("wave", "mel"), ("mel", "wave")])
def test_one_format_alone_shows_both_crops_in_it_and_moves_that_encoder_only(store, format, other, tmp_path):
    recipe = changed(loss={"terms": f"{format}-{format}", "learned": False}, train={"ema": 0.0})
    task = make_task(store, recipe)
    assert task.partial
    assert task.formats == (format,)
    seen, frames = [], task.frames
    task.frames = lambda encoder, name, x, lengths: seen.append((name, x)) or frames(encoder, name, x, lengths)
    task(task.see(task.batch(np.arange(6), 0)))
    assert [name for name, _ in seen] == [format, format]
    task.prepare()
    before = {name: value.clone() for name, value in task.state_dict().items()}
    run_tiny(task, recipe, tmp_path / "run")
    moved = {name for name, value in task.state_dict().items() if not torch.equal(value, before[name])}
    assert {name.split(".")[1] for name in moved} == {format}
    assert {name.split(".")[0] for name in moved} == {"model", "heads"}
    assert not any(f".{other}." in name for name in moved)  # neither its weights nor its norms' statistics


def test_both_formats_learn_where_both_are_in_the_loss(store):
    for terms in ("inter", "inter+intra"):
        task = make_task(store, changed(loss={"terms": terms}))
        assert not task.partial
        assert set(task.formats) == {"wave", "mel"}
    assert not make_task(store, tiny(), kind="classify").partial


@pytest.mark.parametrize("format", ["wave", "mel"])
def test_a_run_of_one_format_resumed_ends_with_the_same_weights(store, format, tmp_path):
    recipe = changed(loss={"terms": f"{format}-{format}"})
    unbroken = make_task(store, recipe)
    run_tiny(unbroken, recipe, tmp_path / "unbroken")
    broken = make_task(store, recipe)
    send_at(broken, 5, signal.SIGINT)
    with pytest.raises(Interrupted):
        run_tiny(broken, recipe, tmp_path / "run", checkpoint_seconds=0.0)
    resumed = make_task(store, recipe)
    run_tiny(resumed, recipe, tmp_path / "run", resume=True)
    expected = unbroken.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in resumed.state_dict().items())


def test_inter_and_intra_show_both_crops_in_both_formats_and_change_them_apart(store):
    task = make_task(store, changed(crops={"placement": "overlapping", "length": 1.0})).eval()  # both crops are all
    seen = {"wave": [], "mel": []}
    task.frames = lambda encoder, name, x, lengths: seen[name].append(x) or encoder.encoder(x, lengths)
    task(task.see(task.batch(np.arange(6), 0)))
    for views in seen.values():
        assert len(views) == 2
        assert not torch.equal(*views)


def test_without_augmentation_equal_crops_are_equal_views(store):
    recipe = changed(crops={"placement": "overlapping", "length": 1.0}, augment={"setting": "none"})
    task = make_task(store, recipe).eval()
    seen = {"wave": [], "mel": []}
    task.frames = lambda encoder, name, x, lengths: seen[name].append(x) or encoder.encoder(x, lengths)
    task(task.see(task.batch(np.arange(6), 0)))
    assert all(torch.equal(*views) for views in seen.values())


@pytest.mark.parametrize("strength", [{"filter_db": 12.0}, {"reverb_probability": 1.0}])
def test_other_rooms_and_microphones_are_heard_in_the_format_that_asks_for_them(store, strength):
    far = tiny().augment
    plain = make_task(store, tiny())
    batch = plain.batch(np.arange(8), 0)
    before = plain.see(batch)
    for format in ("wave", "mel"):
        augment = dataclasses.replace(far, **{format: dataclasses.replace(getattr(far, format), **strength)})
        task = make_task(store, dataclasses.replace(tiny(), augment=augment))
        task.load_state_dict(plain.state_dict())
        after = task.see(task.batch(np.arange(8), 0))
        for view in ("first", "second"):
            for shown in getattr(after, view):
                own, other = (getattr(seen, view)[shown][0] for seen in (after, before))
                assert own.shape == other.shape
                assert torch.equal(own, other) == (shown != format)


def test_partners_are_only_fetched_where_the_recipe_mixes(store):
    indices = np.arange(4)
    assert make_task(store, tiny()).batch(indices, 0).views.partner is not None
    assert make_task(store, changed(augment={"setting": "wave"})).batch(indices, 0).views.partner is None


def test_preparing_fits_the_front_ends_on_the_training_recordings(store):
    task = make_task(store, tiny())
    before = {name: value.clone() for name, value in task.state_dict().items()}
    task.prepare()
    moved = {name for name, value in task.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"model.wave.front.scale", "model.mel.front.mean", "model.mel.front.deviation"}


def test_the_chance_line_is_that_of_the_batch(store):
    assert make_task(store, tiny()).chance_loss == chance_loss(8)
    assert make_task(store, tiny(), kind="classify").chance_loss == pytest.approx(np.log(3))


def test_bf16_is_used_inside_the_asked_encoder_only_and_embeddings_are_float32(store):
    task = make_task(store, tiny()).eval()
    task.precision = {"wave": "bf16", "mel": "fp32"}
    inside = {}
    for name in ("wave", "mel"):
        encoder = getattr(task.model, name).encoder
        convolution = next(part for part in encoder.modules() if isinstance(part, torch.nn.Conv1d | torch.nn.Conv2d))
        convolution.register_forward_hook(lambda _part, _x, y, name=name: inside.update({name: y.dtype}))
    loss, _ = task(task.see(task.batch(np.arange(4), 0)))
    assert inside == {"wave": torch.bfloat16, "mel": torch.float32}
    assert loss.dtype == torch.float32


def test_a_classifier_predicts_without_moving_anything(store):
    task = make_task(store, tiny(), kind="classify").train()
    before = {name: value.clone() for name, value in task.state_dict().items()}
    found = task.predict(store)
    assert task.training
    assert task.encoder("mel").training
    assert task.eval().predict(store).tolist() == found.tolist()
    assert not task.encoder("mel").training
    assert found.shape == (len(store),)
    assert all(torch.equal(value, before[name]) for name, value in task.state_dict().items())


def test_a_prediction_does_not_depend_on_the_batch(store):
    task = make_task(store, tiny(), kind="classify").eval()
    assert task.predict(store, batch=1).tolist() == task.predict(store, batch=24).tolist()


def test_the_random_generators_of_torch_and_numpy_are_left_alone(store):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    for kind in ("pretrain", "classify"):
        task = make_task(store, tiny(), kind=kind)
        task.prepare()
        task(task.see(task.batch(np.arange(8), 0)))[0].backward()
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


def test_voices_are_asked_of_pieces_that_share_no_moment(store):
    recipe = changed(model={"voices": "statistics"}, crops={"placement": "free", "length": 0.8})
    task = make_task(store, recipe).eval()
    seen = {"wave": [], "mel": []}
    for name, frames in seen.items():
        pooling = getattr(task.model, name).poolings["voices"]
        pooling.register_forward_hook(lambda _, given, made, frames=frames: frames.append(half(*given)))
    whole = {"wave": [], "mel": []}
    plain = task.frames
    task.frames = lambda encoder, name, x, lengths: (
        whole[name].append(plain(encoder, name, x, lengths)) or whole[name][-1]
    )
    batch = task.batch(np.arange(6), 0)
    loss, figures = task(task.see(batch))
    assert torch.isfinite(loss)
    assert 0 <= figures["voices_top1"] <= 1
    for name, pieces in seen.items():
        for view, (early, late) in enumerate((pieces[:2], pieces[2:])):
            full = whole[name][view]
            assert torch.equal(early.lengths + late.lengths, lengths_of(full))
            assert (early.lengths - late.lengths).abs().max() <= 1
            width = int(early.lengths[0])
            assert torch.equal(early.values[0, :width], full.values[0, :width])
            assert torch.equal(late.values[0, : int(late.lengths[0])], full.values[0, width : lengths_of(full)[0]])


def test_both_parts_learn_and_the_weight_of_the_voices_counts(store):
    recipe = changed(model={"voices": "statistics"})
    losses = {}
    for weight in (1e-6, 1.0, 1e6):
        task = make_task(
            store, dataclasses.replace(recipe, loss=dataclasses.replace(recipe.loss, voices=weight))
        ).train()
        loss, _ = task(task.see(task.batch(np.arange(8), 0)))
        losses[weight] = float(loss.detach())
        if weight == 1.0:
            loss.backward()
            silent = [name for name, value in task.named_parameters() if value.grad is None or not value.grad.any()]
            assert not [name for name in silent if "heads" in name]
    assert losses[1.0] == pytest.approx((losses[1e-6] + losses[1e6]) / 2, rel=1e-4)
    assert losses[1e-6] != pytest.approx(losses[1e6], rel=1e-3)


def test_a_weight_of_nothing_is_refused():
    with pytest.raises(RecipeError, match=r"loss.voices: wanted a number from 1e-12"):
        changed(loss={"voices": 0.0})


def voiced(**loss):
    recipe = changed(model={"voices": "statistics", "spectrum": True})
    return dataclasses.replace(recipe, loss=dataclasses.replace(recipe.loss, **loss))


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    """Noise through one resonance for each of four speakers, in a folder for each."""
    folder = tmp_path_factory.mktemp("voices") / "corpus"
    rng = np.random.default_rng(0)
    for speaker, hz in enumerate((400, 1200, 2600, 4500)):
        (folder / str(speaker)).mkdir(parents=True)
        poles = [1.0, -2 * 0.95 * np.cos(2 * np.pi * hz / 16_000), 0.95**2]
        for take in range(6):
            sound = lfilter([1.0], poles, rng.standard_normal(4000 + 300 * take))
            soundfile.write(folder / str(speaker) / f"{take}.wav", 0.05 * sound, 16_000)
    return open_tiny(folder, tiny())


def test_recordings_alike_by_voice_are_positives_of_the_voices_alone(voices, monkeypatch):
    store = voices
    few_are_enough(monkeypatch.setattr)
    recipe = voiced(neighbours=0, voice_neighbours=2, ambiguous=5, searches=2)
    task = make_task(store, recipe)
    task.prepare()
    assert task.neighbourhood is None
    assert task.begin(0, 4) == []
    near = task.voices_alike.near.numpy()
    speakers = np.array([name.split("/")[0] for name in store.manifest.ids])
    assert (speakers[near[:, :2]] == speakers[:, None]).mean() > 0.8
    batch = task.batch(np.arange(8), 0)
    assert (batch.views.others == batch.views.recordings).all()  # second crops are the recording's own
    seen = task.train().see(batch)
    loss, _ = task(seen)
    before = task.begin(1, 4), near.copy()
    assert (task.voices_alike.near.numpy() == before[1]).all()  # no search is due
    task.begin(2, 4)  # by the speaker parts, too
    task.voices_alike.near.copy_(torch.arange(len(store))[:, None].expand_as(task.voices_alike.near))
    alone, _ = task(seen)
    task.voices_alike = None
    without, _ = task(seen)
    assert float(loss.detach()) != pytest.approx(float(alone.detach()), rel=1e-3)
    assert float(alone.detach()) == pytest.approx(float(without.detach()), rel=0.2)


def test_neighbours_by_voice_are_saved_with_a_run_and_are_none_without_a_speaker_part(store, monkeypatch):
    few_are_enough(monkeypatch.setattr)
    assert "voices_alike.near" in make_task(store, voiced(voice_neighbours=2)).state_dict()
    plain = changed(loss={"voice_neighbours": 2})
    assert make_task(store, plain).voices_alike is None
    with pytest.raises(RecipeError, match=r"loss.voice_neighbours 80 must be 0, or from 1 to loss.ambiguous 60"):
        changed(loss={"voice_neighbours": 80})


@pytest.fixture
def neighbourly(monkeypatch):
    few_are_enough(monkeypatch.setattr)
    return with_neighbours(tiny())


def test_second_crops_come_from_recordings_that_are_alike(store, neighbourly):
    task = make_task(store, neighbourly)
    task.prepare()
    task.begin(0, 4)
    near = task.neighbourhood.near
    assert near.shape == (len(store), 5)
    indices = np.arange(8)
    views = task.batch(indices, 0).views
    assert all(other in near[own, :2] for own, other in zip(indices, views.others, strict=True))
    second = views.second.wave[0].numpy()
    sound = store.clip(int(views.others[0]))
    starts = np.flatnonzero(sound[: len(sound) - len(second) + 1] == second[0])
    assert any((sound[start : start + len(second)] == second).all() for start in starts)
    loss, figures = task.train()(task.see(task.batch(indices, 0)))
    assert torch.isfinite(loss)
    assert set(figures) == {"top1", "temperature", "spread", "voices_top1"}


def test_recordings_alike_are_looked_for_evenly_over_the_run_and_as_what_was_learned_says(
    store, neighbourly, monkeypatch
):
    recipe = dataclasses.replace(neighbourly, loss=dataclasses.replace(neighbourly.loss, searches=3))
    task = make_task(store, recipe)
    task.prepare()
    asked = []
    monkeypatch.setattr(neighbours, "powered_cosine_graph", lambda vectors, *, mapped: vectors)
    task.voices_alike = None
    task.neighbourhood.renew = lambda vectors: asked.append(vectors.shape[1])
    found = []
    for epoch in range(7):
        task.begin(epoch, 7)
        found.append(len(asked))
    assert found == [1, 1, 2, 2, 3, 3, 3]
    most = len(store) - 1  # directions that so many recordings can differ in
    pooled = [task.model.wave.pooled["content"], task.model.mel.pooled["content"]]
    assert asked[0] == most + sum(min(dim, most) for dim in pooled)  # the picture and all that is pooled
    assert asked[1:] == [most + 8 + 8] * 2  # the picture and what the loss sees
    assert task.training


def test_few_recordings_have_no_neighbours_and_learn_as_without(store):
    recipe = with_neighbours(tiny())
    without = dataclasses.replace(recipe, loss=dataclasses.replace(recipe.loss, neighbours=0))
    losses = []
    for chosen in (recipe, without):
        task = make_task(store, chosen).train()
        task.begin(0, 4)
        batch = task.batch(np.arange(8), 0)
        assert (batch.views.others == batch.views.recordings).all()
        losses.append(task(task.see(batch))[0].detach())
    assert torch.equal(*losses)


def test_the_necks_are_turned_at_the_end_and_hold_the_words_heads(store, neighbourly):
    task = make_task(store, neighbourly)
    task.prepare()
    assert set(task.heads) == {"wave voices", "mel voices"}
    before = embed_store(task.model, store)
    task.finish()
    after = embed_store(task.model, store)
    for name in ("wave words", "mel words"):
        assert not before.part(name).any()
        assert np.abs(after.part(name)).std(axis=0).min() > 0.1
        projection = after.part(f"{name} projection")
        assert (projection == before.part(f"{name} projection")).all()
        assert (task.projections(after)[name.split()[0]] == projection).all()
        assert after.only(name).vectors.shape[1] == 4 + 8
    assert (after.part("mel voices") == before.part("mel voices")).all()


@pytest.mark.parametrize("format", ["wave", "mel"])
def test_supervised_training_hears_crops_augmented_as_in_pre_training(store, format):
    recipe = changed(supervised={"crop": 0.6})
    plain = dataclasses.replace(recipe, augment=dataclasses.replace(recipe.augment, setting="none"))
    made = {
        kind: Classify(make_model(one.model, seed=0), [format], store, np.arange(len(store)) % 3, one, seed=0)
        for kind, one in (("augmented", recipe), ("plain", plain))
    }
    indices = np.arange(8)
    batches = {kind: task.batch(indices, 1) for kind, task in made.items()}
    seen = {kind: task.see(batches[kind]).inputs[format] for kind, task in made.items()}
    assert seen["augmented"][0].shape == seen["plain"][0].shape  # the same crops
    assert not torch.equal(seen["augmented"][0], seen["plain"][0])
    again = made["augmented"].see(made["augmented"].batch(indices, 1)).inputs[format]
    assert torch.equal(again[0], seen["augmented"][0])
    clips = batches["plain"].crops.views.first
    shares = clips.lengths.numpy() / store.lengths[indices]
    assert (shares > 0.59).all()
    assert (shares <= 1).all()
    assert np.ptp(shares) > 0.1
    expected = made["plain"].encoder(format).front(clips.wave, clips.lengths)
    assert torch.equal(seen["plain"][0], expected[0])
    assert torch.equal(seen["plain"][1], expected[1])


@pytest.mark.parametrize("clip", [0.05, 5.0])
def test_a_network_of_one_format_learns_as_it_does_alone(store, clip):
    """Beside the other format's: the same crops, and no gradient that is clipped by both."""
    recipe, targets, found = tiny(), np.arange(len(store)) % 3, {}
    for formats in (["wave"], ["mel"], ["wave", "mel"]):
        task = Classify(make_model(recipe.model, seed=0), formats, store, targets, recipe, seed=0)
        task.prepare()
        optimiser = make_optimiser(task.train(), recipe.supervised)
        step = learner(task, task, optimiser, clip=clip, where=torch.device("cpu"))
        steps = [step(task.see(task.batch(np.arange(first, first + 8), 0))) for first in (0, 8, 16)]
        norms = [figures["gradient_norm"] for figures in steps]
        weights = {name: weight.detach() for name, weight in task.named_parameters()}
        found["".join(formats)] = (weights, norms, task.learning({name: float(of) for name, of in steps[-1].items()}))
    together, norms, learning = found.pop("wavemel")
    for format, (weights, _, alone) in found.items():
        assert weights.keys() < together.keys()
        assert all(torch.equal(weight, together[name]) for name, weight in weights.items())
        assert learning[format] == pytest.approx(alone[""])  # its own loss, beside its own chance line
    for own, wave, mel in zip(norms, found["wave"][1], found["mel"][1], strict=True):
        assert own == pytest.approx(float((wave**2 + mel**2).sqrt()))
    assert (float(norms[0]) > clip) == (clip < 1)


def test_a_whole_recording_is_heard_where_no_shorter_crop_is_asked_for(store):
    recipe = changed(augment={"setting": "none"}, supervised={"longest_seconds": 10.0})
    clips = make_task(store, recipe, kind="classify").batch(np.arange(5), 0).crops.views.first
    assert clips.lengths.tolist() == store.lengths[:5].tolist()
    short = changed(augment={"setting": "none"}, supervised={"longest_seconds": 0.1})
    clips = make_task(store, short, kind="classify").batch(np.arange(5), 0).crops.views.first
    assert clips.wave.shape == (5, round(0.1 * store.sample_rate))


def test_label_smoothing_is_a_share_of_the_loss_of_every_class(store):
    losses = {}
    for smoothing in (0.0, 0.3):
        task = make_task(store, changed(supervised={"label_smoothing": smoothing}), kind="classify").eval()
        task.prepare()
        batch = task.see(task.batch(np.arange(8), 0))
        losses[smoothing] = float(task(batch)[0].detach())
    frames = task.frames(task.encoder("mel"), "mel", *batch.inputs["mel"])
    chances = -task.linears["mel"](task.content(task.encoder("mel"), frames)).log_softmax(dim=1)
    own = float(chances[np.arange(8), batch.targets].mean().detach())
    assert losses[0.0] == pytest.approx(own, rel=1e-5)
    assert losses[0.3] == pytest.approx(0.7 * own + 0.3 * float(chances.mean().detach()), rel=1e-5)


def test_the_classes_of_both_formats_are_those_of_the_mean_of_their_logits():
    wave, mel = np.array([[1.0, 0.0], [0.0, 3.0]], np.float32), np.array([[0.0, 2.0], [1.0, 0.0]], np.float32)
    assert likeliest(wave).tolist() == [0, 1]
    assert likeliest(both_formats([wave, mel])).tolist() == [1, 1]
    np.testing.assert_allclose(both_formats([wave, mel]), (wave + mel) / 2)


def test_an_output_layer_beside_the_task_says_what_the_task_says(store):
    recipe = with_neighbours(tiny())  # with a neck and a part for voices
    task = Classify(make_model(recipe.model, seed=0), ["mel"], store, np.arange(len(store)) % 3, recipe, seed=0).eval()
    task.prepare()
    clips = whole_clips(store, np.arange(3))
    frames = task.frames(task.encoder("mel"), "mel", *task.encoder("mel").front(clips.wave, clips.lengths))
    with torch.no_grad():
        expected = task.linears["mel"](task.content(task.encoder("mel"), frames)).numpy()
    np.testing.assert_allclose(task.logits(store)["mel"][:3], expected, rtol=1e-4, atol=1e-5)
    assert task.linears["mel"].in_features == 4 + 8  # directions and projection, without voices


def test_a_model_with_one_trained_format_is_whole_on_the_device_of_its_training_before_it_embeds(store, monkeypatch):
    recipe = tiny()
    model = make_model(recipe.model, seed=0)
    task = Classify(model, ["mel"], store, np.arange(len(store)) % 3, recipe, seed=0)
    task.to("meta")  # as to a GPU: the encoder of waveforms is no part of the task
    where = set()

    def embedded(model, _):
        where.update(weight.device.type for weight in (*model.parameters(), *model.buffers()))
        return SimpleNamespace(whitenings=dict)

    monkeypatch.setattr("mfcl.training.saving.embed_store", embedded)
    monkeypatch.setattr("mfcl.training.saving.save_checkpoint", lambda *_, **__: None)
    save_trained(model, task, recipe, Path("nowhere"), formats=["mel"], facts={})
    assert where == {"meta"}
