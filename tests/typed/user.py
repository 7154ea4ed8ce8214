"""What a user's own code looks like to a strict type checker; `make lint` checks it, nothing runs it."""

import torch
from torch import nn
from typing_extensions import assert_type

import cwn_lite as cwn


class Net(nn.Module):
    def report(self) -> str:
        return "mine"


def use() -> None:
    """Never called."""
    net = Net()
    assert_type(cwn.replace_batchnorm(net, noise_std=0.1), Net)
    assert_type(cwn.fuse(net, example_inputs=torch.zeros(1)), Net)
    assert_type(cwn.unfuse(net), Net)
    assert_type(cwn.fold(net), Net)
    assert_type(cwn.set_noise(net, 0.1, "linear"), Net)
    assert_type(cwn.report(net), cwn.Report)
    assert_type(cwn.report(net).names("fused"), tuple[str, ...])
    assert_type(net.report(), str)

    optimizers = [torch.optim.SGD(net.parameters(), lr=0.1), torch.optim.AdamW(net.parameters())]
    assert_type(cwn.constrain(optimizers[0], net), cwn.Constraint)
    assert_type(cwn.constrain(optimizers, net, exclude=("stem",), classifier=()), cwn.Constraint)

    assert_type(cwn.scale_branches(net), tuple[str, ...])
    turning = cwn.AngularMuon(cwn.angular_groups(net, 0.01), lr=0.01, betas=(0.9, 0.95))
    assert_type(turning.step(), None)
    assert_type(turning.step(lambda: 0.5), float)
    assert_type(cwn.constrain(turning, net), cwn.Constraint)
    assert_type(cwn.turned(torch.zeros(2, 3), torch.ones(2, 3), 0.1), torch.Tensor)
