"""What only a CUDA device shows: float16 with gradient scaling through the real command."""

import pytest
import torch

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


def test_float16_with_gradient_scaling_trains_and_resumes(fit, tmp_path):
    run = fit(tmp_path, "--device=cuda", "--trainer.precision=16-mixed")
    assert (run.code, run.err) == (0, "")
    assert run.load()["metadata"]["precision"] == "16-mixed"
    assert run.load()["MixedPrecision"]["scale"] > 0
    assert "[OK] Mixed-precision training (AMP) enabled: 16-mixed on cuda" in run.out
    again = fit(tmp_path, "--device=cuda", "--trainer.precision=16-mixed", "--timesteps=192", "--ckpt_path=last")
    assert (again.code, again.load()["metadata"]["timesteps"]) == (0, 192)


def test_gpu_memory_is_printed_and_logged(fit, tmp_path):
    run = fit(tmp_path, "--device=cuda")
    assert "[OK] GPU" in run.out
    assert run.scalars()["speed/gpu_memory_allocated_mb"][-1][1] > 0
