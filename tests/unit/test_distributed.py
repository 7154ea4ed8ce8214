"""Two processes: data-parallel copies stay identical, row shards are projected without communication."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from nets import MIXED_ROWS

pytest.importorskip("torch.distributed.fsdp", reason="this torch has no torch.distributed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
        reason="this torch is built without gloo",
    ),
    pytest.mark.skipif(
        not hasattr(sys.modules.get("torch.distributed.fsdp"), "fully_shard"), reason="fully_shard needs torch 2.6"
    ),
]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The results of both processes."""
    import two_processes

    folder = tmp_path_factory.mktemp("gloo")
    torch.multiprocessing.spawn(two_processes.main, args=(str(folder),), nprocs=2)
    return [torch.load(Path(folder, f"rank-{rank}.bin"), weights_only=False) for rank in (0, 1)]


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], atol: float = 0.0) -> None:
    assert a.keys() == b.keys()
    for key, value in a.items():
        torch.testing.assert_close(value, b[key], rtol=0, atol=atol, msg=key)


def test_data_parallel_copies_stay_identical_and_equal_one_process(ranks: list[dict[str, Any]]) -> None:
    first, second = (result["ddp"] for result in ranks)
    assert_same(first["state"], second["state"])
    assert_same(first["state"], first["alone"], atol=1e-12)
    assert first["names"] == tuple(f"module.{name}" for name in MIXED_ROWS)
    assert max(first["violation"], second["violation"]) < 1e-14


def test_fused_copies_stay_identical_and_equal_one_process(ranks: list[dict[str, Any]]) -> None:
    first, second = (result["ddp"] for result in ranks)
    assert first["fused layers"]
    assert_same(first["fused"], second["fused"])
    assert_same(first["fused"], first["alone"], atol=1e-12)


def test_orthogonalized_steps_of_copies_and_of_row_shards_equal_one_process(ranks: list[dict[str, Any]]) -> None:
    """Of shards the whole matrix is gathered, so the step is the same, to rounding."""
    for kind in ("ddp", "fsdp"):
        first, second = (result[kind] for result in ranks)
        assert_same(first["turned"], second["turned"])
        assert_same(first["turned"], first["turned alone"], atol=1e-9)
    fsdp = ranks[0]["fsdp"]
    assert_same(fsdp["held"], fsdp["held alone"], atol=1e-9)
    assert not torch.equal(fsdp["held"]["0.weight"], fsdp["turned"]["0.weight"])
    assert max(result["fsdp"]["turned violation"] for result in ranks) < 1e-14


def test_fused_and_sharded_equals_sharded(ranks: list[dict[str, Any]]) -> None:
    for result in ranks:
        assert_same(result["fsdp"]["fused"], result["fsdp"]["after training"], atol=1e-12)


def test_noise_of_its_own_in_each_process_does_not_part_the_copies(ranks: list[dict[str, Any]]) -> None:
    first, second = (result["ddp"] for result in ranks)
    assert_same(first["noisy"], second["noisy"])
    assert not torch.equal(first["noisy"]["0.weight"], first["state"]["0.weight"])


def test_row_shards_are_projected_where_they_are(ranks: list[dict[str, Any]]) -> None:
    """FSDP2 shards along axis 0, so rows are whole: not one collective, also where a process holds no row."""
    first, second = (result["fsdp"] for result in ranks)
    assert (first["local rows"], second["local rows"]) == ([3, 1, 2], [2, 0, 1])
    assert first["communications"] == second["communications"] == 0
    assert first["names"] == ("0.weight", "3.weight", "6.weight")
    assert max(first["violation"], second["violation"]) < 1e-14


def test_row_shards_equal_one_process(ranks: list[dict[str, Any]]) -> None:
    first, second = (result["fsdp"] for result in ranks)
    assert_same(first["state"], second["state"])
    assert_same(first["state"], first["alone"], atol=1e-12)


def test_a_placement_that_cuts_rows_is_refused(ranks: list[dict[str, Any]]) -> None:
    """A transposed convolution has its inputs on axis 0, so there FSDP2's default cuts rows."""
    for result in ranks:
        assert "0.weight" in result["fsdp"]["columns"] and "Shard(0)" in result["fsdp"]["columns"]
        assert "0.weight" in result["fsdp"]["transposed"] and "Shard(1)" in result["fsdp"]["transposed"]


@pytest.mark.parametrize("placement", ["replicated", "transposed by outputs"])
def test_a_placement_that_keeps_rows_whole_is_projected(ranks: list[dict[str, Any]], placement: str) -> None:
    for result in ranks:
        assert result["fsdp"][placement] == "accepted"
        assert result["fsdp"][placement + " equal"]
