"""Work is shared out whole, and torch has its threads back afterwards."""

from __future__ import annotations

import pytest
import torch

from training.threads import share, share_rows


@pytest.fixture(params=[1, 3])
def num_threads(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(autouse=True)
def torch_threads(num_threads: int) -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    yield
    torch.set_num_threads(before)


def test_every_row_is_done_once_with_one_torch_thread(num_threads: int) -> None:
    done: list[tuple[slice, int]] = []
    share_rows(lambda rows: done.append((rows, torch.get_num_threads())), 10, 4)
    assert sorted((rows.start, rows.stop) for rows, _ in done) == [(0, 4), (4, 8), (8, 10)]
    assert {threads for _, threads in done} == {1}
    assert torch.get_num_threads() == num_threads


def test_what_the_work_raises_comes_out(num_threads: int) -> None:
    def work(item: int) -> None:
        raise RuntimeError(f"item {item}")

    with pytest.raises(RuntimeError, match="item 0"):
        share(work, range(4))
    assert torch.get_num_threads() == num_threads
