"""The columns of the tables that probes write; apart from `columns`, so that runs do not depend on them."""

from __future__ import annotations

from batchscope.tables.columns import CELL, RUN, Column, integer, number, string

MOMENT: dict[str, Column] = {
    **RUN,
    "moment": string("of the run: start, a share of its budget, end, or where the training loss fell to a value"),
    "epoch": number("epochs", "passes over the training part up to that moment", nullable=False),
    "updates": integer("updates", "updates up to that moment"),
    "train_loss": number("nat", "loss of the whole training part at that moment"),
    "examples": integer("examples", "training examples that the probe looked at"),
}

# Made at weights that do not move. Batches are drawn without replacement; G is the gradient of all `examples`.
PROBES: dict[str, dict[str, Column]] = {
    "gradients": {
        **MOMENT,
        "drawn_batch_size": integer("examples", "size of the batches drawn"),
        "batches": integer("", "batches drawn; the bias is from more, `bias_batches`"),
        "gradient_bias": number("", "mean over batches of the gradient along G, minus G, relative to |G|"),
        "gradient_bias_se": number("", "standard error of that mean"),
        "bias_batches": integer("", "batches, drawn from the projections of single gradients, behind that mean"),
        "gradient_variance": number("", "trace of the covariance of the gradient of a batch"),
        "gradient_variance_expected": number(
            "", "that of one example over the size, with the finite-population factor"
        ),
        "gradient_signal_to_noise": number("", "median over weights of |G| over the standard deviation over batches"),
        "gradient_signal_to_noise_q25": number("", "first quartile over weights"),
        "gradient_signal_to_noise_q75": number("", "third quartile over weights"),
        "dead_coordinates": integer("", "weights whose gradient is zero in every batch, left out of those quartiles"),
        "cosine_mean": number("", "cosine of the gradient of a batch to G, mean over batches"),
        "cosine_q25": number("", "first quartile over batches"),
        "cosine_q75": number("", "third quartile over batches"),
        "zero_gradients": integer("", "batches whose gradient is zero throughout, left out of those"),
        "coordinate": integer("", "index, among all weights, of the one with the largest |G|"),
        "coordinate_mean": number("", "mean over batches of its gradient"),
        "coordinate_std": number("", "standard deviation over batches of its gradient"),
        "coordinate_min": number("", "smallest over batches"),
        "coordinate_max": number("", "largest over batches"),
        "reason": string("why a quantity is null", nullable=True),
    },
    "noise_scale": {
        **MOMENT,
        "gradient_norm_squared": number("", "unbiased estimate of |G|² of fresh examples"),
        "covariance_trace": number("", "unbiased estimate of the trace of the covariance of per-example gradients"),
        "noise_scale": number("examples", "trace over |G|², the simple noise scale of McCandlish et al. 2018"),
        "noise_scale_ci_low": number("examples", "lower end of its 95 % interval"),
        "noise_scale_ci_high": number("examples", "upper end; null where there is none"),
        "reason": string("why the noise scale could not be estimated", nullable=True),
    },
    "sharpness": {
        **MOMENT,
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
            "", "2 (1 + momentum) over the learning rate: gradient descent is not stable on more curvature; SGD only"
        ),
        "train_accuracy": number("", "accuracy on the training part at that moment"),
        "test_accuracy": number("", "accuracy on the test part at that moment"),
        "reason": string("why a quantity is null", nullable=True),
    },
    "slices": {
        **MOMENT,
        "position": number("", "distance along a random, filter-normalised direction, −1 to 1", nullable=False),
        "loss": number("nat", "loss of the examples looked at, there"),
    },
    "rate_ranges": {
        **RUN,
        "suggested_rate": number("", "rate at which the smoothed loss falls fastest"),
        "lowest_loss_rate": number("", "rate at the lowest smoothed loss"),
        "diverged_rate": number("", "first rate beyond it where the loss blew up"),
        "reason": string("why there is no suggestion", nullable=True),
    },
    "rate_curves": {
        **RUN,
        "update": integer("updates", "number of the update, from 1"),
        "learning_rate": number("", "learning rate of this update", nullable=False),
        "loss": number("nat", "loss of the batch, before the update"),
        "smoothed_loss": number("nat", "the same, smoothed"),
    },
    "modes": {
        **MOMENT,
        "evaluated_batch_size": integer("examples", "examples that are evaluated together"),
        "inference_loss": number("nat", "validation loss with the stored statistics"),
        "training_loss": number("nat", "validation loss with those of the batch, dropout off"),
        "training_mode_shift": number("nat", "size of the difference"),
        "reason": string("why a quantity is null", nullable=True),
    },
    "accumulation": {
        **RUN,
        "micro_batch_size": integer("examples", "examples per gradient pass"),
        "updates": integer("updates", "updates after which the weights are compared"),
        "largest_difference": number("", "largest difference of a weight to that of the whole batch"),
        "relative_difference": number("", "length of the difference over the length of the way from the first weights"),
        "rounding": number("", "the same between two orders of the examples within each whole batch"),
        "reason": string("why a quantity is null", nullable=True),
    },
    "loop_windows": {
        **CELL,
        "loop": string("fused (one compiled call), fit (Keras model.fit) or data (only reads the examples)"),
        "window": integer("", "number of the window, from 1"),
        "updates": integer("updates", "updates in the window"),
        "seconds": number("s", "length of the window, synchronised at both edges", nullable=False),
        "seconds_per_update": number("s", "`seconds` over `updates`", nullable=False),
    },
}
