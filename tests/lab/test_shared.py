"""One run shared by two processes, with copies of the parameters and with parts of them: what one would train."""

from pathlib import Path
from typing import Any

import lab_processes as shared
import pytest
import torch
import torch.multiprocessing as multiprocessing

from cwn_lite.lab.errors import LabError
from cwn_lite.lab.training import Trainer, spawned
from cwn_lite.lab.training.world import joined

Found = dict[str, Any]
ONE = 1e-9  # relative to the largest value of a tensor: twenty steps of rounding in float64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the two processes, of which some go on from where one process stopped."""
    found = tmp_path_factory.mktemp("shared")
    begun = shared.trained(shared.recipe("ours"), shared.digits(), steps=shared.PLACE)
    torch.save(begun.state_dict(), found / "alone.bin")
    multiprocessing.spawn(shared.main, (str(found),), nprocs=2)
    return found


@pytest.fixture(scope="module")
def found(folder: Path) -> Found:
    ranks: list[Found] = [torch.load(folder / f"rank-{rank}.bin", weights_only=True) for rank in range(2)]
    for name in ("ours", "ours in parts"):
        assert all(torch.equal(ranks[0][name]["model"][key], v) for key, v in ranks[1][name]["model"].items())
        assert ranks[0][name]["curve"] == ranks[1][name]["curve"]
    return ranks[0]


def alone(method: str, **changes: Any) -> Found:
    return shared.trained(shared.recipe(method, **changes), shared.digits()).state_dict()


def distance(one: Found, other: Found) -> float:
    return spawned.distance(one["model"], other["model"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ours", "ours in parts", "ours in pieces", "ours in parts and pieces"])
def test_ours_is_what_one_process_trains(name: str, found: Found) -> None:
    one = alone("ours")
    assert distance(found[name], one) < ONE
    for entry, expected in zip(found[name]["curve"], one["curve"], strict=True):
        assert entry == pytest.approx(expected, rel=1e-8)
    assert found[name]["sums"].tolist() == pytest.approx(one["sums"].tolist(), rel=1e-8)


@pytest.mark.slow
def test_group_norm_too_but_batch_norm_has_other_statistics(found: Found) -> None:
    assert distance(found["gn"], alone("gn")) < ONE
    for name in ("bn", "bn in parts"):
        assert distance(found[name], alone("bn")) > 0.01
    assert distance(found["bn in parts"], found["bn"]) < ONE, "the same halves of a batch in both"


@pytest.mark.slow
def test_orthogonalized_steps_on_parts(found: Found) -> None:
    assert distance(found["angular in parts"], alone("ours", steps="angular")) < 1e-6


@pytest.mark.slow
def test_parts_are_halves_and_are_projected_without_a_word(found: Found) -> None:
    assert 0.5 <= found["share"] < 0.51
    assert found["said while projecting"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["begun in parts", "begun as copies", "went on in parts", "went on as copies"])
def test_a_run_goes_on_with_another_number_of_processes(name: str, found: Found) -> None:
    one = alone("ours")
    state = found[name]
    if name.startswith("begun"):
        state = shared.trained(shared.recipe("ours"), shared.digits(), **state).state_dict()
    assert distance(state, one) < ONE
    for key in ("train_loss", "train_error", "test_loss", "grad_norm", "grad_norm_max"):
        assert [e[key] for e in state["curve"]] == pytest.approx([e[key] for e in one["curve"]], rel=1e-8), key


def test_pieces_add_up_to_the_batch() -> None:
    """Also with noise, which is drawn once per step; batch norm has the statistics of pieces."""
    for method, same in (("ours", True), ("gn", True), ("bn", False)):
        one, pieces = alone(method), alone(method, accumulate=5)
        assert (distance(pieces, one) < ONE) is same, method
    other = alone("ours", noise_per_sample=True)
    assert distance(alone("ours", noise_per_sample=True, accumulate=5), other) > 1e-3, "each sample draws its own"


def test_one_process_has_nothing_to_shard() -> None:
    with (
        pytest.raises(LabError, match="--shard: one process has nobody to share with"),
        joined(torch.device("cpu"), shard=True),
    ):
        pass


def test_more_pieces_than_samples_are_single_samples() -> None:
    images = shared.digits()
    trainer = Trainer(shared.recipe("gn", accumulate=1000), 0, images)
    trainer.step()
    assert trainer.diverged is None and trainer.batch == 1


@pytest.mark.slow
def test_processes_are_started_for_a_few_steps() -> None:
    wishes = [shared.recipe("ours"), shared.recipe("bn")]
    one, two = (spawned.trained(wishes, 7, processes=processes) for processes in (1, 2))
    assert spawned.distance(two[0], one[0]) < ONE and spawned.distance(two[1], one[1]) > 0.01
    with pytest.raises(ValueError, match="no recipe is called ours"):
        spawned.trained(wishes, 1, shard=["ours"])
