"""What is computed side by side is what is computed one after the other, forward and backward."""

import os
import threading

import pytest
import torch
from torch import nn

from mfcl.training import side_by_side as module
from mfcl.training.side_by_side import side_by_side


def small(net, *, small=True):
    net.small = small
    return net


TWO = [small(nn.Linear(1, 1)), small(nn.Linear(1, 1))]


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def networks():
    torch.manual_seed(0)
    return [nn.Sequential(nn.Conv1d(1, 8, 5), nn.ReLU(), nn.Conv1d(8, width, 3)) for width in (4, 6)]


def learn(made, nets, sound, **kind):
    """The outputs of both networks, and the gradients of a loss that joins them; `made` are their threads."""

    def work(net):
        made.append(threading.current_thread().name)
        return [net(sound), net(sound * 2)]

    outputs = side_by_side([lambda net=net: work(net) for net in nets], [small(net, **kind) for net in nets])
    loss = torch.stack([own.mean(dim=(1, 2)) @ own.square().mean(dim=(1, 2)) for net in outputs for own in net])
    loss.prod().backward()
    gradients = [weight.grad for net in nets for weight in net.parameters()]
    return [own.detach() for net in outputs for own in net], gradients


def test_outputs_and_gradients_are_those_of_one_after_the_other(two_threads):
    sound, threads = torch.randn(3, 1, 64, generator=torch.Generator().manual_seed(1)), []
    found = learn(threads, networks(), sound)
    assert len(set(threads)) == 2
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    alone = []
    expected = learn(alone, networks(), sound)
    assert set(alone) == {threading.current_thread().name}
    for own, other in zip(found, expected, strict=True):
        assert len(own) == len(other) > 0
        assert all(torch.equal(*pair) for pair in zip(own, other, strict=True))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_one_work_or_several_that_are_not_two_are_done_here(two_threads, count):
    here, nets = set(), [nn.Linear(3, 2) for _ in range(count)]

    def work(net):
        here.add(threading.get_ident())
        return [net(torch.ones(1, 3))]

    made = side_by_side([lambda net=net: work(net) for net in nets], [small(net) for net in nets])
    assert len(made) == count
    assert len(here) == (2 if count == 2 else 1)
    assert all(torch.equal(own[0], net(torch.ones(1, 3))) for own, net in zip(made, nets, strict=True))


def test_several_processes_wait_for_each_other_in_one_order(two_threads, monkeypatch):
    monkeypatch.setattr(module, "processes", lambda: 2)
    threads = []
    learn(threads, networks(), torch.ones(2, 1, 32))
    assert set(threads) == {threading.current_thread().name}


def test_large_encoders_have_both_cores_one_after_another(two_threads):
    threads = []
    learn(threads, networks(), torch.ones(2, 1, 32), small=False)
    assert set(threads) == {threading.current_thread().name}


@pytest.mark.parametrize("fails", [0, 1])
@pytest.mark.parametrize("when", ["forward", "backward"])
def test_a_failure_of_either_is_raised_and_threads_are_given_back(two_threads, fails, when):
    def work(number):
        made = torch.ones(2, requires_grad=True) * 1
        if number == fails and when == "forward":
            raise ZeroDivisionError(when)
        if number == fails:
            made.register_hook(lambda gradient: gradient / 0 if 1 // 0 else gradient)
        return [made]

    def learn_both():
        made = side_by_side([lambda: work(0), lambda: work(1)], TWO)
        (made[0][0].sum() + made[1][0].sum()).backward()

    with pytest.raises(ZeroDivisionError):
        learn_both()
    assert torch.get_num_threads() == 2
    assert len(side_by_side([lambda: [torch.ones(1)]] * 2, TWO)) == 2  # the next one works


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_nothing_is_joined_where_nothing_learns(two_threads, without):
    with without():
        made = side_by_side([lambda net=net: [net(torch.ones(3, 1))] for net in TWO], TWO)
    assert not any(own.requires_grad for (own,) in made)


def test_an_encoder_is_small_only_if_it_says_so(two_threads):
    by_name, threads = nn.Module(), []
    by_name.small = nn.Linear(1, 1)  # a layer that is called so
    side_by_side([lambda: threads.append(threading.current_thread().name) or [torch.ones(1)]] * 2, [by_name] * 2)
    assert set(threads) == {threading.current_thread().name}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process")  # has several threads: that is what is tested
def test_a_forked_process_does_not_wait_for_a_thread_of_its_parent(two_threads):
    side_by_side([lambda: [torch.ones(1)]] * 2, TWO)
    child = os.fork()
    if not child:
        os._exit(module._other.cache_info().currsize)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert module._other.cache_info().currsize > 0


def test_more_threads_are_shared_out(two_threads):
    seen = []
    torch.set_num_threads(5)
    side_by_side([lambda: seen.append(torch.get_num_threads()) or [torch.ones(1, requires_grad=True)]] * 2, TWO)
    assert sorted(seen) == [2, 3]
    assert torch.get_num_threads() == 5
