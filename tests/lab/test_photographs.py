"""Photographs that workers decode while the network trains: what a step sees, what is said of damaged files."""

import dataclasses
import multiprocessing
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from photo_tree import photo_tree
from PIL import Image
from torch import Tensor

from cwn_lite.lab import Options, Recipe, data, recipes, results, run
from cwn_lite.lab.data import Photographs
from cwn_lite.lab.errors import LabError
from cwn_lite.lab.recipes.photographs import METHODS_OF_TABLE_6
from cwn_lite.lab.results import listing
from cwn_lite.lab.results.deviations import deviations
from cwn_lite.lab.training import Trainer, World
from cwn_lite.lab.training.photographs import MEAN, STD, PhotographTask

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photo_tree(tmp_path_factory.mktemp("pictures") / "tree")


@pytest.fixture
def tree(pictures: Path, tmp_path: Path) -> Path:
    """Return a copy to damage."""
    return Path(shutil.copytree(pictures, tmp_path / "tree"))


@pytest.fixture
def small() -> Recipe:
    return Recipe.of(
        name="small", data="imagenette", side=32, net="imagenet-resnet", depth=18, method="ours", sigma=0.1,
        batch=12, epochs=2, lr=0.01,
    )  # fmt: skip


def listed(folder: Path) -> Photographs:
    found = data.load("imagenette", folder)
    assert isinstance(found, Photographs)
    return found


def task(recipe: Recipe, files: Photographs, workers: int = 0, world: World | None = None) -> PhotographTask:
    assert isinstance(recipe.data, recipes.parts.Photographs)
    return PhotographTask(recipe.data, recipe.training.batch, 0, files, CPU, world=world, workers=workers)


def epoch(found: PhotographTask, number: int = 0) -> Tensor:
    found.start(number)
    return torch.cat([found.batch(step)[0] for step in range(4)])


def test_an_epoch_sees_each_photograph_once(small: Recipe, pictures: Path) -> None:
    files = listed(pictures)
    assert (len(files.train_labels), len(files.test_labels)) == (40, 20)
    found = task(small, files)
    labels = torch.cat([found.batch(step)[1] for step in range(4)])
    assert labels.bincount().tolist() == [4] * 10
    found.start(1)
    again = torch.cat([found.batch(step)[1] for step in range(4)])
    assert not torch.equal(labels, again) and again.bincount().tolist() == [4] * 10
    assert torch.cat([y for _, y in found.test()]).tolist() == [label for label in range(10) for _ in range(2)]


def test_a_photograph_is_cropped_and_normalized_as_torchvision_does(small: Recipe, pictures: Path) -> None:
    from torchvision.transforms import v2

    files = listed(pictures)
    seen = torch.cat([x for x, _ in task(small, files).test()])
    pipeline = v2.Compose(
        [v2.Resize(37), v2.CenterCrop(32), v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True),
         v2.Normalize(MEAN, STD)]
    )  # fmt: skip
    for x, file in zip(seen, sorted((pictures / "val").rglob("*.JPEG")), strict=True):
        torch.testing.assert_close(x, pipeline(Image.open(file)), rtol=0, atol=1e-5)
    trained = epoch(task(small, files))
    assert trained.shape == (40, 3, 32, 32) and trained.is_contiguous(memory_format=torch.channels_last)
    assert not torch.equal(trained, epoch(task(small, files), 1)), "other crops in another epoch"
    plain = task(small.but(augment="none"), files)
    # The middle of each, in the order of the epoch.
    assert {tuple(x.flatten().tolist()) for x in epoch(plain)} == {
        tuple(x.flatten().tolist()) for x in plain.first(40)[0]
    }


def test_a_step_sees_the_same_whoever_decodes_and_wherever_it_begins(small: Recipe, pictures: Path) -> None:
    files = listed(pictures)
    before = torch.get_rng_state()
    whole = [task(small, files).batch(step)[0] for step in range(4)]  # a stream anew for each step
    ahead = task(small, files, workers=2)
    assert all(torch.equal(ahead.batch(step)[0], whole[step]) for step in range(4))
    ahead.start(1)
    assert torch.equal(ahead.batch(0)[0], epoch(task(small, files), 1)[:12]), "the stream goes on into the next epoch"
    ahead.close()
    assert multiprocessing.active_children() == []
    shares = [task(small, files, world=World(rank, 3)) for rank in range(3)]
    for step in range(4):
        assert torch.equal(torch.cat([share.batch(step)[0] for share in shares]), whole[step])
    tests = [list(share.test()) for share in shares]
    assert sum(len(y) for part in tests for _, y in part) == 20 and len({len(part) for part in tests}) == 1
    assert torch.equal(torch.get_rng_state(), before), "noise on scales comes from this generator"


@pytest.mark.slow
def test_a_run_stops_and_goes_on_to_the_same_result(small: Recipe, pictures: Path, options: Options) -> None:
    files = listed(pictures)
    whole = run(small, 0, files, dataclasses.replace(options, out=options.out / "whole", runs=options.runs / "whole"))
    sessions = 0
    resumed = None
    while resumed is None:
        resumed = run(small, 0, files, dataclasses.replace(options, deadline=0.0, workers=sessions % 2))
        sessions += 1
        assert multiprocessing.active_children() == [], "a worker outlives its run"
    assert whole is not None and sessions == 8 == len(resumed.sessions)
    assert whole.weights_sha256 == resumed.weights_sha256 and whole.curve == resumed.curve
    assert whole.sessions[0]["samples"] == 80 and 0 < whole.sessions[0]["data_s"] <= whole.sessions[0]["train_s"]
    assert listing.outcome(whole).count(" samples per second, ") == 1
    old = [{key: value for key, value in whole.sessions[0].items() if key != "train_s"}]
    assert listing.pace(dataclasses.replace(whole, sessions=old)) == ""
    both = [{"samples": 30, "train_s": 2.0, "data_s": 1.0}, {"samples": 10, "train_s": 2.0, "data_s": 0.0}]
    expected = ", 10 samples per second, 25 % of it waiting for data"
    assert listing.pace(dataclasses.replace(whole, sessions=both)) == expected
    assert results.of_recipe(small, options.out)[0].data["name"] == "Imagenette (image folder)"


def damage(tree: Path, kind: str) -> Path:
    file = tree / "train" / "n00000003" / "1.JPEG"
    pixels = np.full((50, 60, 3), 100, np.uint8)
    if kind == "cut short":
        file.write_bytes(file.read_bytes()[:-200])
    elif kind == "text":
        file.write_text("no picture")
    elif kind == "several":
        Image.fromarray(pixels).save(file, "GIF", save_all=True, append_images=[Image.fromarray(pixels[::-1] // 2)])
    elif kind == "transparent":
        Image.fromarray(np.dstack([pixels, np.full((50, 60), 9, np.uint8)])).save(file, "PNG")
    elif kind == "gone":
        file.unlink()
    return file


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("cut short", "damaged image"),
        ("text", "damaged image"),
        ("several", "2 pictures in one file"),
        ("transparent", "transparent in places"),
        ("gone", "no file"),
    ],
)
def test_a_file_that_is_none_stops_the_run_in_one_line_and_nothing_is_lost(
    kind: str, words: str, workers: int, small: Recipe, tree: Path, options: Options
) -> None:
    intact = (tree / "train" / "n00000003" / "1.JPEG").read_bytes()
    files = listed(tree)
    file = damage(tree, kind)
    with pytest.raises(LabError, match=words) as refused:
        run(small, 0, files, dataclasses.replace(options, workers=workers, checkpoint_s=0.0))
    assert str(refused.value).startswith(str(file)) and "\n" not in str(refused.value)
    assert not list(options.out.rglob("*.json")), "the recipe is not to blame"
    assert multiprocessing.active_children() == [], "a worker outlives its run"
    if kind == "cut short":
        file.write_bytes(intact)
        assert run(small, 0, listed(tree), dataclasses.replace(options, workers=workers)) is not None


@pytest.mark.parametrize("kind", ["grey", "RGBA", "16 bits", "CMYK"])
def test_pictures_of_other_kinds_are_taken(kind: str, small: Recipe, tree: Path) -> None:
    file = tree / "val" / "n00000000" / "0.JPEG"
    grey = np.full((40, 40), 200, np.uint8)
    if kind == "grey":
        Image.fromarray(grey).save(file)
    elif kind == "RGBA":
        Image.fromarray(np.dstack([grey] * 3 + [np.full_like(grey, 255)])).save(file, "PNG")
    elif kind == "16 bits":
        Image.fromarray(grey.astype(np.uint16) * 257).save(file, "PNG")
    else:
        Image.fromarray(np.dstack([grey] * 3)).convert("CMYK").save(file)
    x, _ = next(task(small, listed(tree)).test())
    expected = (200 / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    torch.testing.assert_close(x[0].mean((1, 2)), expected, rtol=0, atol=0.06)


def test_a_file_that_is_mended_keeps_its_run_and_another_name_does_not(tree: Path) -> None:
    before = listed(tree)
    file = tree / "train" / "n00000003" / "1.JPEG"
    file.write_bytes(file.read_bytes() + b"\0")
    mended = listed(tree)
    assert mended.identity == before.identity and mended.sha256 != before.sha256
    file.rename(file.with_name("other.JPEG"))
    assert listed(tree).identity != before.identity


def folders(tree: Path, kind: str) -> None:
    if kind == "empty class":
        for file in (tree / "train" / "n00000004").iterdir():
            file.unlink()
    elif kind == "other classes":
        (tree / "val" / "n00000004").rename(tree / "val" / "n00000099")
    elif kind == "few classes":
        for split in ("train", "val"):
            shutil.rmtree(tree / split / "n00000004")
    elif kind == "flat":
        (tree / "train" / "n00000004" / "0.JPEG").rename(tree / "train" / "0.JPEG")
    else:
        shutil.rmtree(tree / "val")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("empty class", "n00000004: no images in this class folder"),
        ("other classes", "only in train: 'n00000004'; only in val: 'n00000099'"),
        ("few classes", "9 class folders where the recipe expects 10"),
        ("flat", "0.JPEG: a picture beside the class folders"),
        ("no test", "not an image folder with train/<class>/ and val/<class>/"),
    ],
)
def test_folders_that_are_no_data_set_are_refused(kind: str, words: str, tree: Path) -> None:
    folders(tree, kind)
    with pytest.raises(LabError, match=words):
        listed(tree)


def test_what_is_missing_or_does_not_go_together(small: Recipe, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="trains on ImageNet: give --data"):
        data.load("imagenet")
    with pytest.raises(LabError, match="no such file or folder"):
        data.load("imagenette", tmp_path / "nowhere")
    with pytest.raises(LabError, match="10 class folders where the recipe expects 1000"):
        data.load("imagenet", pictures)
    with pytest.raises(ValueError, match="data='imagenette' needs net='imagenet-resnet'"):
        small.but(net="cnn")
    with pytest.raises(LabError, match="40 training images, the recipe wants 40 to validate"):
        task(small.but(validation=40), listed(pictures))
    with pytest.raises(LabError, match="trains on digits"):
        Trainer(recipes.get("digits-bn"), 0, listed(pictures))


def test_held_out_photographs_are_training_ones(small: Recipe, pictures: Path) -> None:
    found = task(small.but(validation=10, augment="none"), listed(pictures))
    assert (found.train_count, found.test_count) == (30, 10)
    held = torch.cat([x for x, _ in found.test()])
    whole = task(small, listed(pictures)).first(40)[0]
    assert all((whole == x).flatten(1).all(1).any() for x in held)


@pytest.mark.parametrize(
    ("method", "depth"), [*((method, 18) for method in recipes.METHODS), ("ours", 50), ("plain", 50), ("ws+gn", 50)]
)
def test_every_method_trains_torchvisions_networks(method: str, depth: int, small: Recipe, pictures: Path) -> None:
    gamma = {"residual_gamma": 0.5} if method == "cwn" else {}
    recipe = small.but(method=method, depth=depth, batch=4, **gamma)
    trainer = Trainer(recipe, 0, listed(pictures), workers=0)
    trainer.step()
    assert trainer.diverged is None
    convolutions = [m for m in trainer.model.modules() if isinstance(m, torch.nn.Conv2d)]
    assert all((m.bias is not None) == (method in ("ws", "plain", "wn", "cwn")) for m in convolutions)
    if trainer.constraint is not None:
        assert len(trainer.constraint.names) == {18: 20, 50: 53}[depth] and trainer.constraint.violation() < 1e-5


@pytest.mark.parametrize("method", ["bn", "plain", "wn", "cwn"])
def test_branches_start_as_told_whatever_ends_them(method: str, small: Recipe, pictures: Path) -> None:
    """At 0 a residual network computes what is left without its branches: all methods start alike."""
    for depth in (18, 50):
        model = Trainer(small.but(method=method, depth=depth), 0, listed(pictures), workers=0).model
        seen: list[float] = []

        def look(module: torch.nn.Module, x: object, out: Tensor, seen: list[float] = seen) -> None:
            seen.append(float(out.detach().abs().max()))

        for name, module in model.named_modules():
            end = "bn2" if depth == 18 else "bn3"
            if name.endswith(end) and name.startswith("layer"):
                module.register_forward_hook(look)
        model.eval()(torch.randn(2, 3, 32, 32))
        assert len(seen) == {18: 8, 50: 16}[depth] and max(seen) == 0


def test_recipes_of_table_6() -> None:
    for name, angular in (("imagenette-resnet18", 8), ("imagenet-resnet50", 16)):
        for method in METHODS_OF_TABLE_6:
            assert recipes.get(f"{name}-{method}").method.kind == method
        assert recipes.get(f"{name}-ours-angular").net.residual_gamma == angular**-0.5
    paper = recipes.get("imagenet-resnet50-ours")
    assert (paper.training.lr, paper.training.batch, paper.training.drop_every) == (0.1, 256, 30)
    said = deviations(paper.values(), "ImageNet")
    assert said == [
        f"{text}: not printed" for text in ("100 epochs", "decay 0.0001", "no noise", "γ of branches starts at 0")
    ]
    small = deviations(recipes.get("imagenette-resnet18-bn").values(), "Imagenette, crops of 112 pixels")
    assert {
        "a network of 18 layers and width 64", "64 pixels, not 224", "images: Imagenette, crops of 112 pixels",
        "batch 64", "a cosine, not a tenth of the rate at 30, 60 and 90 epochs",
    } <= set(small)  # fmt: skip


def test_the_first_five_guesses_are_reported_of_many_classes(pictures: Path, small: Recipe) -> None:
    trainer = Trainer(small, 0, listed(pictures), workers=0)
    with torch.no_grad():
        trainer.model.fc.weight.zero_()
        trainer.model.fc.bias.copy_(torch.arange(10.0))  # guesses 9, 8, 7, 6, 5 whatever it sees
    found = trainer.evaluate()
    assert (found.error, found.top5_error) == pytest.approx((90, 50))
    assert not trainer.task.top5, "five of ten say little"
