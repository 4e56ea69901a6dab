import torch
from torch.utils.data import TensorDataset

from neurodyn.data.loader import Order, ResumableLoader, mix


def loader(workers=0):
    numbers = TensorDataset(torch.arange(10))
    order = Order(numbers, num_replicas=1, rank=0, seed=7)
    return ResumableLoader(numbers, batch_size=3, sampler=order, num_workers=workers)


def batches(of, epoch):
    of.sampler.set_epoch(epoch)
    return [batch[0].tolist() for batch in of]


def test_an_epoch_goes_on_with_its_next_batch():
    for workers in (0, 1):
        one, two = loader(), loader(workers)
        whole, following = batches(one, 4), batches(one, 5)
        two.sampler.set_epoch(4)
        given = list(zip(range(2), two, strict=False))
        assert len(given) == 2
        state = two.state_dict()
        resumed = loader(workers)
        resumed.load_state_dict(state)
        assert len(resumed) == 4, "the length is that of the whole epoch"
        assert batches(resumed, 4) == whole[state["batches"] :]
        assert resumed.state_dict() == {"epoch": 4, "batches": 4}
        assert batches(resumed, 5) == following


def test_what_an_epoch_left_does_not_shorten_the_next():
    one, two = loader(), loader()
    list(zip(range(2), one, strict=False))
    two.load_state_dict(one.state_dict())
    assert batches(two, 1) == batches(loader(), 1)


def test_seeds_are_mixed():
    assert mix(1, 2) != mix(2, 1) != mix(3)
