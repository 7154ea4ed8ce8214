"""Point clouds as a task of the lab: recipes, batches, and runs that go on after a stop."""

import dataclasses

import numpy as np
import pytest
import torch

import cwn_lite as cwn
from cwn_lite.lab import Options, Recipe, data, recipes, results, run
from cwn_lite.lab.data import Clouds
from cwn_lite.lab.data.clouds import build_clouds
from cwn_lite.lab.errors import LabError
from cwn_lite.lab.nets import dgcnn
from cwn_lite.lab.nets.methods import build, normalized_layers
from cwn_lite.lab.recipes import points
from cwn_lite.lab.recipes.points import METHODS_OF_TABLE_5
from cwn_lite.lab.results.deviations import deviations
from cwn_lite.lab.training import Trainer
from cwn_lite.lab.training.clouds import CloudTask
from cwn_lite.lab.training.world import World


@pytest.fixture
def few() -> Clouds:
    """Two classes: flat clouds and long ones."""
    rng = np.random.default_rng(0)
    labels = np.arange(24) % 2
    points = rng.normal(size=(24, 40, 3)) * np.where(labels[:, None, None] == 0, [1, 0.1, 1], [0.2, 1, 0.2])
    split = points.astype(np.float32), labels.astype(np.int64)
    return build_clouds(split, split, [f"class{k}" for k in range(12)], "few")


@pytest.fixture
def small() -> Recipe:
    return Recipe.of(
        name="small", data="shapes", points=16, net="dgcnn", width=8, k=4, method="ours", sigma=0.1,
        batch=8, epochs=3, lr=0.05, decay_scale_bias=False,
    )  # fmt: skip


def task(small: Recipe, few: Clouds, **changes: object) -> CloudTask:
    found = Trainer(small.but(**changes), 0, few).task
    assert isinstance(found, CloudTask)
    return found


def test_a_batch_is_turned_jittered_and_thinned(small: Recipe, few: Clouds) -> None:
    plain, moved = task(small, few, augment="none"), task(small, few)
    (x, labels), (y, same) = plain.batch(1), moved.batch(1)
    assert x.shape == y.shape == (8, 16, 3) and torch.equal(labels, same)
    assert torch.equal(labels, few.train_labels[plain.order[8:16]])
    for cloud, whole in zip(x, few.train_points[plain.order[8:16]], strict=True):
        assert all((whole == point).all(1).any() for point in cloud)  # points of that cloud, none twice
        assert len(cloud.unique(dim=0)) == 16
    radius = [points[..., [0, 2]].norm(dim=2) for points in (x, y)]
    assert (x[..., 1] - y[..., 1]).abs().max() < 0.051 and (radius[0] - radius[1]).abs().max() < 0.075
    assert (x - y).abs().max() > 0.1


def test_what_is_random_depends_on_seed_epoch_and_step_alone(small: Recipe, few: Clouds) -> None:
    first, second = task(small, few), task(small, few)
    one = first.batch(2)[0]
    second.batch(0)
    assert torch.equal(one, second.batch(2)[0])
    second.start(1)
    assert not torch.equal(one, second.batch(2)[0])
    shares = [CloudTask(small.data, 8, 0, few, torch.device("cpu"), world=World(rank, 3)) for rank in range(3)]
    parts = [share.batch(2)[0] for share in shares]
    assert torch.equal(torch.cat(parts), one), "processes that share a step see what one would"


def test_the_test_set_is_whole_and_not_touched(small: Recipe, few: Clouds) -> None:
    found = task(small, few)
    assert torch.equal(torch.cat([x for x, _ in found.test()]), few.test_points[:, :16])
    held = task(small, few, validation=6)
    assert (held.train_count, held.test_count) == (18, 6)
    seen = torch.cat([x for x, _ in held.test()])
    assert all((few.train_points[:, :16] == cloud).flatten(1).all(1).any() for cloud in seen)


@pytest.mark.parametrize("method", [*METHODS_OF_TABLE_5, "ws", "wn", "cwn"])
@pytest.mark.parametrize("steps", ["sgd", "angular"])
def test_every_method_trains_every_layer(method: str, steps: str, small: Recipe, few: Clouds) -> None:
    trainer = Trainer(small.but(method=method, steps=steps, lr=0.01, epochs=1), 0, few)
    assert len(normalized_layers(trainer.model)) == 7
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    while not trainer.done:
        trainer.step()
    assert trainer.diverged is None
    still = [name for name, p in trainer.model.named_parameters() if torch.equal(p, before[name])]
    assert still == []


def test_ours_is_on_its_constraint_and_class_errors_are_reported(small: Recipe, few: Clouds) -> None:
    trainer = Trainer(small, 0, few)
    while not trainer.done:
        trainer.step()
    assert trainer.constraint is not None and trainer.constraint.violation() < 1e-5
    assert len(trainer.constraint.names) == 7
    found = trainer.evaluate()
    wrong = [k * found.error / 100 for k in (12, 12)]
    assert trainer.curve[-1]["test_class_error"] == pytest.approx(found.class_error)
    assert found.class_error == pytest.approx(100 * sum(wrong) / 24), "both classes are equally many here"


def test_a_mean_over_classes_is_not_one_over_clouds(small: Recipe, few: Clouds) -> None:
    uneven = dataclasses.replace(few, test_points=few.test_points[:3], test_labels=torch.tensor([0, 1, 1]))
    trainer = Trainer(small, 0, uneven)
    with torch.no_grad():
        trainer.model.head[-1].weight.zero_()
        trainer.model.head[-1].bias.copy_(torch.eye(12)[1])  # says class 1 whatever it sees
    found = trainer.evaluate()
    assert (found.error, found.class_error) == pytest.approx((100 / 3, 50))


def test_a_stopped_run_goes_on_to_the_same_result(small: Recipe, few: Clouds, options: Options) -> None:
    whole = run(small, 0, few, dataclasses.replace(options, out=options.out / "whole", runs=options.runs / "whole"))
    assert run(small, 0, few, dataclasses.replace(options, deadline=0.0)) is None
    resumed = run(small, 0, few, options)
    assert whole is not None and resumed is not None and len(resumed.sessions) == 2
    assert whole.weights_sha256 == resumed.weights_sha256 and whole.curve == resumed.curve


def test_recipes_of_table_5() -> None:
    for name in ("points", "modelnet40"):
        for method in METHODS_OF_TABLE_5:
            assert recipes.get(f"{name}-{method}").method.kind == method
    paper = recipes.get("modelnet40-ours")
    assert paper.values()["sigma"] == 0.4 and (paper.training.lr, paper.training.final_lr) == (0.1, 0.001)
    assert deviations(paper.values(), "ModelNet40") == ["noise per step: not printed"]
    small = deviations(recipes.get("points-ours").values(), "generated shapes")
    assert {"width 16, not 64", "10 neighbours, not 20", "256 points, not 1024"} <= set(small)
    assert dgcnn.SLOPE == points.SLOPE and recipes.get("points-ours-angular").values()["c"] == cwn.leaky_relu_c(0.2)
    assert "c" not in recipes.get("points-bn").values(), "a recipe of clouds states what it has and no more"


def test_a_search_differs_from_table_5_in_rate_and_clouds_alone() -> None:
    for arm in points.SEARCHED:
        found = {lr: recipes.get(name) for lr, name in points.tried(arm).items()}
        usual = recipes.get("points-ours-nonoise" if arm == "ours" else f"points-{arm}")
        angular = arm.endswith("-angular")
        assert tuple(found) == (points.ANGLES if angular else points.SGD_RATES)
        assert found[0.015 if angular else 0.1].but(validation=0).sha == usual.sha
        for lr, recipe in found.items():
            assert recipe.training.lr == lr and recipe.data.validation == points.VALIDATION
            assert recipe.training.final_lr == (usual.training.final_lr if angular else lr / 100)


def test_chosen_rates_are_the_best_of_those_tried() -> None:
    """On held-out clouds, by one seed; a run that did not train counts as such."""
    assert tuple(points.CHOSEN) == points.SEARCHED
    for method, rate in points.CHOSEN.items():
        known = {lr: results.of_recipe(recipes.get(name)) for lr, name in points.tried(method).items()}
        errors = {lr: run.test_error if run.status == "done" else 100.0 for lr, (run,) in known.items()}
        assert rate == min(errors, key=errors.__getitem__), (method, errors)
        best, held_out = recipes.get(points.at_chosen_rate(method)), recipes.get(points.tried(method)[rate])
        assert held_out.but(validation=0).sha == best.sha


def test_what_does_not_go_together_is_refused(small: Recipe, few: Clouds) -> None:
    with pytest.raises(ValueError, match=r"net='cnn': data='shapes' needs net='dgcnn'"):
        Recipe.of(name="a", method="bn", data="shapes")
    with pytest.raises(ValueError, match=r"net='dgcnn': data='digits' needs a network for images"):
        Recipe.of(name="a", method="bn", data="digits", net="dgcnn")
    with pytest.raises(LabError, match="few has 40 points per cloud, the recipe wants 41"):
        Trainer(small.but(points=41), 0, few)
    with pytest.raises(LabError, match="24 training clouds, the recipe wants 24 to validate"):
        Trainer(small.but(validation=24), 0, few)
    with pytest.raises(LabError, match="small trains on shapes, and scikit-learn digits is of another kind"):
        Trainer(small, 0, data.load("digits"))


def test_a_hidden_linear_layer_starts_as_a_convolution_does(small: Recipe) -> None:
    model = build(small.but(method="plain", width=16)).model
    hidden, last = model.head[0], model.head[-1]
    assert float(hidden.weight.detach().std()) == pytest.approx((2 / hidden.in_features) ** 0.5, rel=0.05)
    assert last.weight.detach().abs().max() <= last.in_features**-0.5
