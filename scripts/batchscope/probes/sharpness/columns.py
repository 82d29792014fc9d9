"""What the jobs of the probe `sharpness` write, at weights that do not move."""

from __future__ import annotations

from batchscope.probes.columns import Record, at_checkpoint
from batchscope.tables.job_columns import integer, number, string
from batchscope.training.checkpoints import END, Checkpoint


def looked_at(checkpoint: Checkpoint) -> bool:
    """Whether the probe measures there: at the end, and where the training loss had fallen to a value."""
    return checkpoint.train_loss is not None or checkpoint == END


RECORDS: dict[str, Record] = {
    "sharpness": at_checkpoint(
        {
            "subset_loss": number("nat", "loss of the examples looked at"),
            "lambda_max": number("", "largest eigenvalue of the Hessian of that loss"),
            "lambda_residual": number("", "|Hv − λv| over |λ|"),
            "lambda_products": integer("", "Hessian-vector products that Lanczos took"),
            "trace": number("", "trace of the Hessian (Hutchinson)"),
            "trace_ci_low": number("", "lower end of its 95 % interval over the random vectors"),
            "trace_ci_high": number("", "upper end"),
            "keskar_0_001": number("%", "φ of Keskar et al. 2017 at ε = 0.001"),
            "keskar_0_0005": number("%", "φ at ε = 0.0005"),
            "adaptive_sharpness": number(
                "%", "the same over a box proportional to the weights: no matter how ReLU layers are scaled"
            ),
            "stability_threshold": number(
                "",
                "2 (1 + momentum) over the learning rate: gradient descent is not stable on more curvature; SGD only",
            ),
            "train_accuracy": number("", "accuracy on the training part at that checkpoint"),
            "test_accuracy": number("", "accuracy on the test part at that checkpoint"),
            "reason": string("why a quantity is null", nullable=True),
        }
    ),
    "slices": at_checkpoint(
        {
            "position": number("", "distance along a random, filter-normalised direction, −1 to 1", nullable=False),
            "loss": number("nat", "loss of the examples looked at, there"),
        },
        "position",
    ),
}
