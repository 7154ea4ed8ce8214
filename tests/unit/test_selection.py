"""Which weights are constrained: chosen by module, never by shape, and each exception with its reason."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import cwn_lite as cwn
from cwn_lite.selection import select


class Transformer(nn.Module):
    """Attention, embedding, recurrent and normalization parameters around two linear layers and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.position = nn.Parameter(torch.zeros(1, 5, 8))
        self.attention = nn.MultiheadAttention(8, 2)
        self.recurrent = nn.GRU(8, 8)
        self.norm = nn.LayerNorm([5, 8])
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)
        self.head = nn.Linear(8, 11)


UNTRACED = "the last Linear, taken for the classifier, since the forward could not be traced; classifier= names another"
HEAD = "taken for the classifier: it feeds the output and no scale follows"


def test_every_linear_map_but_the_classifier_is_chosen_whatever_its_shape() -> None:
    net = nn.Sequential(
        nn.Conv1d(2, 3, 3),
        nn.ConvTranspose2d(3, 4, 2, groups=1),
        nn.Conv3d(6, 4, 1, groups=2),
        nn.Linear(4, 1),
        nn.Linear(1, 9),
        nn.Linear(9, 2),
    )
    chosen = select(net)
    assert list(chosen.modules) == ["0.weight", "1.weight", "2.weight", "3.weight"]
    assert chosen.modules["1.weight"] is net[1]
    assert chosen.skipped == {
        "4.weight": "fan-in 1: no row of zero mean and fixed norm exists",
        "5.weight": HEAD,
    }


def test_parameters_of_other_modules_are_named_with_a_reason() -> None:
    other = "not the weight of a Linear or convolution"
    chosen = select(Transformer())
    assert list(chosen.modules) == ["attention.out_proj.weight", "up.weight", "down.weight"]
    assert chosen.skipped == {
        "head.weight": UNTRACED,
        "position": other,
        "embedding.weight": other,
        "attention.in_proj_weight": other,
        "recurrent.weight_ih_l0": other,
        "recurrent.weight_hh_l0": other,
        "norm.weight": other,
        "norm.bias": other,
    }


def test_every_weight_is_either_chosen_or_skipped_and_none_both() -> None:
    for net in (Transformer(), nn.Sequential(nn.Conv2d(3, 4, 3), nn.PReLU(4), nn.Linear(4, 2), nn.Linear(2, 2))):
        chosen = select(net)
        matrices = {name for name, p in net.named_parameters() if p.ndim > 1}
        assert matrices == chosen.modules.keys() | chosen.skipped.keys()
        assert not chosen.modules.keys() & chosen.skipped.keys()


def test_a_bare_layer_is_a_model_too() -> None:
    conv = nn.Conv2d(3, 4, 3)
    assert select(conv).modules == {"weight": conv}
    with pytest.raises(ValueError, match=r"no weight to constrain \(weight: taken for the classifier"):
        select(nn.Linear(3, 4))


def test_frozen_and_parametrized_weights_are_left_alone() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    net[0].weight.requires_grad_(False)
    parametrizations.weight_norm(net[1])
    cwn.weight_standardization(net[2])
    chosen = select(net)
    assert list(chosen.modules) == ["3.weight"]
    assert chosen.skipped == {
        "0.weight": "frozen (requires_grad is False)",
        "1.weight": "its weight is computed by another parametrization",
        "2.weight": "its weight is computed by another parametrization",
        "4.weight": HEAD,
    }


def net_with_names() -> nn.ModuleDict:
    def block() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU(), nn.Conv2d(3, 3, 3))

    return nn.ModuleDict({"stem": nn.Conv2d(3, 3, 3), "stages": nn.Sequential(block(), block()), "fc": nn.Linear(3, 2)})


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        (("stem",), {"stages.0.0", "stages.0.2", "stages.1.0", "stages.1.2"}),
        (["stages.1"], {"stem", "stages.0.0", "stages.0.2"}),
        (("stages.?.2",), {"stem", "stages.0.0", "stages.1.0"}),
        (("*.0.*", "stem"), {"stages.1.0", "stages.1.2"}),
        (("stages.0.0", "fc"), {"stem", "stages.0.2", "stages.1.0", "stages.1.2"}),
    ],
)
def test_exclude_takes_names_patterns_and_whole_containers(exclude: tuple[str, ...], left: set[str]) -> None:
    chosen = select(net_with_names(), exclude)
    assert chosen.modules.keys() == {f"{name}.weight" for name in left}
    assert set(chosen.skipped.values()) <= {"excluded by the caller", UNTRACED}


def test_exclude_takes_modules() -> None:
    net = net_with_names()
    assert select(net, (net["stem"], net["stages"][0])).modules.keys() == {"stages.1.0.weight", "stages.1.2.weight"}
    with pytest.raises(ValueError, match="no weight to constrain"):
        select(net, (net,))
    conv = nn.Conv2d(3, 4, 3)
    with pytest.raises(ValueError, match="excluded by the caller"):
        select(conv, (conv,))


def test_exclude_finds_a_module_by_each_of_its_names() -> None:
    net = nn.Module()
    net.first = net.again = nn.Conv2d(3, 4, 3)
    net.other = nn.Conv2d(3, 4, 3)
    for name in ("first", "again"):
        assert list(select(net, (name,)).modules) == ["other.weight"]


def test_one_module_used_twice_is_one_weight() -> None:
    conv = nn.Conv2d(3, 3, 3)
    assert list(select(nn.Sequential(conv, nn.ReLU(), conv)).modules) == ["0.weight"]


def test_a_head_tied_to_an_embedding_is_no_obstacle() -> None:
    """The usual tie of language models: neither of the two is constrained."""
    net = Transformer()
    net.head.weight = net.embedding.weight
    chosen = select(net)
    assert "head.weight" in chosen.skipped and "embedding.weight" not in chosen.modules


def test_fan_in_2_is_constrained_with_a_warning() -> None:
    net = nn.Sequential(nn.Conv1d(1, 4, 2), nn.Conv1d(4, 4, 2))
    with pytest.warns(
        UserWarning, match=r"0\.weight has fan-in 2: only two points, .* consider excluding it"
    ) as caught:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        cwn.constrain(optimizer, net)
    assert len(caught) == 1
    assert caught[0].filename == __file__, "the warning points at the caller"


def test_selecting_changes_nothing() -> None:
    net = Transformer()
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    versions = {name: p._version for name, p in net.named_parameters()}
    select(net)
    assert all(torch.equal(p, before[name]) and p._version == versions[name] for name, p in net.named_parameters())


class Detector(nn.Module):
    """Convolutions alone, and a forward that depends on its data, as in torchvision's SSD and RetinaNet."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.classes, self.boxes = nn.Conv2d(8, 5, 1), nn.Conv2d(8, 4, 1)

    def forward(self, images: list[torch.Tensor]) -> list[torch.Tensor]:
        features = [self.norm(self.body(image[None])).relu() for image in images]
        return [torch.cat([self.classes(x), self.boxes(x)], 1) for x in features]


def test_a_forward_that_cannot_be_read_and_no_linear_to_guess_by_is_announced() -> None:
    """Its outputs are convolutions, and without a word they would be constrained."""
    model = Detector()
    with pytest.warns(UserWarning, match=r"Detector could not be traced .*no Linear.*classifier=\(\.\.\.\)") as caught:
        cwn.replace_batchnorm(model)
    assert caught[0].filename == __file__
    assert "boxes" in cwn.report(model).names("constrained")


@pytest.mark.parametrize(("named", "free"), [((), set()), (("classes", "boxes"), {"classes.weight", "boxes.weight"})])
def test_who_names_the_classifiers_hears_nothing(named: tuple[str, ...], free: set[str]) -> None:
    assert set(select(Detector(), classifier=named).skipped) == free


def test_a_long_reason_ends_between_words() -> None:
    class Loop(Detector):
        def forward(self, images: list[torch.Tensor]) -> list[torch.Tensor]:
            raise RuntimeError("endlessly " * 60)

    with pytest.warns(UserWarning, match=r"endlessly \.\.\.\)"):
        select(Loop())


class Agent(nn.Module):
    """Two networks and no forward, as an actor and a critic often are."""

    def __init__(self) -> None:
        super().__init__()
        self.critic = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
        self.actor = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4))


def test_without_a_forward_each_part_has_its_own_classifier() -> None:
    def constrained(model: nn.Module) -> tuple[str, ...]:
        return cwn.constrain(torch.optim.SGD(model.parameters(), lr=0.1), model).names

    assert constrained(Agent()) == ("critic.0.weight", "actor.0.weight")
    networks = {"critic": Agent(), "nested": nn.ModuleDict({"actor": Agent().actor})}
    assert len(constrained(nn.ModuleDict(networks))) == 3
    ends_in_a_map = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 3))
    assert constrained(nn.ModuleDict({"G": ends_in_a_map})) == ("G.0.weight",)


def test_the_classifier_of_a_compiled_model_is_found() -> None:
    inner = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))
    model = cwn.replace_batchnorm(torch.compile(inner))
    assert cwn.report(model).names("free") == ("_orig_mod.3",)
