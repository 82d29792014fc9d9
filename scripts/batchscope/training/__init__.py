"""How a workload is trained: plan, loop, tuning, checkpoints and timing."""
