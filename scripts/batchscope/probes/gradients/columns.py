"""What the jobs of the probe `gradients` write, at weights that do not move; batches are drawn without replacement."""

from __future__ import annotations

from batchscope.probes.columns import Record, at_checkpoint
from batchscope.tables.job_columns import integer, number, string

# G is the gradient of all `examples`.
RECORDS: dict[str, Record] = {
    "gradients": at_checkpoint(
        {
            "drawn_batch_size": integer("examples", "size of the batches drawn"),
            "batches": integer("", "batches drawn; the bias is from more, `bias_batches`"),
            "gradient_bias": number("", "mean over batches of the gradient along G, minus G, relative to |G|"),
            "gradient_bias_se": number("", "standard error of that mean"),
            "bias_batches": integer("", "batches, drawn from the projections of single gradients, behind that mean"),
            "gradient_variance": number("", "trace of the covariance of the gradient of a batch"),
            "gradient_variance_expected": number(
                "", "that of one example over the size, with the finite-population factor"
            ),
            "gradient_signal_to_noise": number(
                "", "median over weights of |G| over the standard deviation over batches"
            ),
            "gradient_signal_to_noise_q25": number("", "first quartile over weights"),
            "gradient_signal_to_noise_q75": number("", "third quartile over weights"),
            "dead_coordinates": integer(
                "", "weights whose gradient is zero in every batch, left out of those quartiles"
            ),
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
        "drawn_batch_size",
    ),
    "noise_scale": at_checkpoint(
        {
            "gradient_norm_squared": number("", "unbiased estimate of |G|² of fresh examples"),
            "covariance_trace": number("", "unbiased estimate of the trace of the covariance of per-example gradients"),
            "noise_scale": number("examples", "trace over |G|², the simple noise scale of McCandlish et al. 2018"),
            "noise_scale_ci_low": number("examples", "lower end of its 95 % interval"),
            "noise_scale_ci_high": number("examples", "upper end; null where there is none"),
            "reason": string("why the noise scale could not be estimated", nullable=True),
        }
    ),
}
