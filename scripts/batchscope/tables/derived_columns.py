"""The columns of the tables that the analysis makes, in the order in which it makes them."""

from __future__ import annotations

from collections.abc import Mapping

from batchscope.tables.job_columns import CELL, RUN, Column, boolean, integer, number, string

PAIR: dict[str, Column] = {name: CELL[name] for name in ("dataset", "recipe")}
AMOUNTS = {"epochs": "epochs", "updates": "updates", "examples": "examples", "seconds": "s", "joules": "J"}


def _ends(name: str, unit: str, what: str = "") -> dict[str, Column]:
    """The two ends of an interval."""
    of = f" of {what}" if what else " of its 95 % interval"
    return {
        f"{name}_ci_low": number(unit, f"lower end{of}; null where there is none"),
        f"{name}_ci_high": number(unit, f"upper end{of}; null where there is none"),
    }


def _size_of(prefix: str, what: str) -> dict[str, Column]:
    """Columns that name one batch size, null where there is none."""
    return {
        f"{prefix}batch_size": integer("examples", f"{what}; null where there is none", nullable=True),
        f"{prefix}full_batch": boolean("as elsewhere, of that size", nullable=True),
    }


def _mean(name: str, unit: str, meaning: str, over: str = "mean over the runs that ended ok") -> dict[str, Column]:
    """A mean over runs with its interval."""
    return {f"{name}_mean": number(unit, f"{meaning}, {over}"), **_ends(name, unit, "its 95 % t-interval")}


def _means(named: Mapping[str, tuple[str, str]]) -> dict[str, Column]:
    return {column: found for name, of in named.items() for column, found in _mean(name, *of).items()}


_INTERVAL = {
    "ci_low": number("of the row", "lower end of the 95 % interval; null where there is none"),
    "ci_high": number("of the row", "upper end of the 95 % interval; null where there is none"),
}
_TARGET = {
    "metric": string(
        "metric of the target: validation_loss, validation_error, train_loss or train_error; of runs made elsewhere "
        "also another column of `evaluations`"
    ),
    "target": number("of the metric", "value to reach: at or below it, or, where more is better, at or above it"),
}
_SECONDS = {
    "seconds_per_epoch": number("s", "time of the updates of an epoch, timed alone on the machine"),
    "seconds_per_epoch_ci_low": number("s", "lower end of its 95 % interval, in which another job may differ by 2 %"),
    "seconds_per_epoch_ci_high": number("s", "upper end of it; null where there are no windows"),
}

OF_RUNS: dict[str, dict[str, Column]] = {
    "not_measured": {
        "kind": string("run, timing or probe: whose columns are null"),
        "columns": string("the columns, separated by commas"),
        "reason": string("why they are null"),
        "n": integer("", "jobs that give this reason for these columns"),
        "of": integer("", "all jobs of the kind"),
    },
    "left_out": {
        "dataset": string("name of the data set; null where the row has none", nullable=True),
        "recipe": string("name of the recipe; null where the row has none", nullable=True),
        "batch_size": integer("examples", "batch size of the rows; null where they do not say it", nullable=True),
        "reason": string(
            "why they are no results: not finished, the same as another row, no result, or one that is not finite"
        ),
        "rows": integer("", "rows of the file"),
        "learning_rate": number("", "learning rate of runs that failed; null for other rows"),
    },
    "rate_choices": {
        **PAIR,
        "criterion": string("column of `runs` by which the best learning rate of a size was chosen, or to_target"),
        "most_rates": integer("", "most learning rates of a size"),
        "runs": integer("", "runs with a result, at all sizes and rates"),
        "passed_over": string(
            "rates with a better mean, not chosen since a smaller share of their runs succeeded; or empty"
        ),
    },
    "metrics": {
        **CELL,
        "metric": string("column of `runs`, or generalisation_gap: training minus test accuracy at the selected epoch"),
        "unit": string("unit of the metric"),
        "n": integer("", "runs that ended ok and have a value"),
        "n_runs": integer("", "all runs"),
        "mean": number("of the row", "mean over these `n` runs"),
        **_INTERVAL,
        "sd": number("of the row", "standard deviation over the runs"),
        "minimum": number("of the row", "smallest value of a run"),
        "maximum": number("of the row", "largest value of a run"),
    },
    "summary": {
        **CELL,
        "n_train": integer("examples", "size of the training part", nullable=True),
        "updates_per_epoch": integer("updates", "as in `runs`", nullable=True),
        "seconds_per_update": number("s", "median over the timed windows, alone on the machine"),
        **_SECONDS,
        "examples_per_second": number("1/s", "batch size over `seconds_per_update`"),
        "timing_outcome": string("ok or out_of_memory; null where nothing was timed", nullable=True),
        **_means(
            {
                "validation_loss": ("nat", "lowest validation loss of a run, at its selected epoch"),
                "test_accuracy": ("", "test accuracy at the selected epoch"),
                "gap": ("", "training minus test accuracy at the selected epoch"),
                "noise": ("nat", "noise of the step loss (`step_loss_noise` of `runs`)"),
                "test_loss": ("nat", "test loss at the selected epoch"),
                "last_validation_loss": ("nat", "validation loss after the last update"),
                "last_train_accuracy": ("", "training accuracy after the last update"),
                "last_test_accuracy": ("", "test accuracy after the last update"),
                "epochs": ("epochs", "epochs trained"),
                "selected_epoch": ("epochs", "epoch of the lowest validation loss"),
                "updates": ("updates", "updates made"),
            }
        ),
        "memory_bytes": number("B", "peak memory of the kind `memory_kind`"),
        "memory_kind": string("what was measured as memory, the same for all sizes", nullable=True),
        "utilisation_percent": number("%", "utilisation of the kind `utilisation_kind`"),
        "utilisation_kind": string("what was measured as utilisation, the same for all sizes", nullable=True),
        "energy_per_epoch_joules": number("J", "energy of the updates of an epoch, of the kind `energy_kind`"),
        "energy_kind": string("what was measured as energy, the same for all sizes", nullable=True),
        "energy_reason": string("why the energy is null", nullable=True),
        "n_runs": integer("", "all runs"),
        "n_ok": integer("", "runs that ended ok"),
        "n_diverged": integer("", "runs that diverged"),
        "n_out_of_memory": integer("", "runs that ran out of memory"),
        "gradient_norm_median": number("", "median norm of the gradients in `steps`, over all runs"),
        "step_loss_q99": number("nat", "99 % quantile of the losses in `steps`, over runs that ended ok, if any did"),
    },
    "learning_curves": {
        **CELL,
        "metric": string(
            "train_loss, validation_loss, train_accuracy or validation_accuracy; of runs made elsewhere also another "
            "column of `evaluations`"
        ),
        "epoch": number("epochs", "passes over the training part so far; null where runs made elsewhere do not say it"),
        "updates": integer("updates", "updates made so far; null where they are not known", nullable=True),
        "examples": integer("examples", "examples trained on so far; null where they are not known", nullable=True),
        "n": integer("", "runs that ended ok and have the metric; each was evaluated there"),
        "mean": number("of the metric", "mean over them: geometric for losses, where all of the recipe are positive"),
        "ci_low": number("of the metric", "lower end of its 95 % t-interval (of the mean logarithm, where geometric)"),
        "ci_high": number("of the metric", "upper end"),
        "geometric": boolean("whether mean and interval are those of the logarithms"),
    },
    "best": {
        **CELL,
        "n_runs": integer("", "all runs"),
        "metric": string("what sizes are compared by: selected_validation_loss, where the runs have one"),
        "value_mean": number("of the metric", "mean over the `n` runs"),
        **_ends("value", "of the metric"),
        "n": integer("", "runs that ended ok and have a value"),
        "status": string("best (best mean), compared, not comparable or not testable"),
        "difference": number("of the metric", "mean of this size minus that of the best size"),
        **_ends("difference", "of the metric", "its 95 % t-interval (paired, or Welch's), not adjusted"),
        "p": number("", "two-sided, of the t-test of that difference (paired, or Welch's)"),
        "p_adjusted": number("", "the same, adjusted (Holm) over all pairs of sizes of the study"),
        "told_apart": boolean("whether `p_adjusted` is at most 0.05; null unless tested", nullable=True),
        "detectable": number("of the metric", "smallest difference that so many seeds would find with 80 % power"),
        "seeds_to_tell": integer(
            "", "seeds that would find the difference seen with 80 % power; null beyond 1,000", nullable=True
        ),
        **_SECONDS,
        "seconds_to_selected": number(
            "s", "mean time of the updates to the selected evaluation; null where a run was lost or nothing was timed"
        ),
        "fastest": boolean("whether its epoch takes the least time; null without a timing", nullable=True),
        "slower": boolean(
            "whether its epoch takes longer than that of the fastest (p adjusted over all pairs of sizes of the data "
            "set and recipe at most 0.05); null for the fastest and without windows",
            nullable=True,
        ),
        **_mean("accuracy", "", "test accuracy at the selected epoch"),
    },
    "ranks": {
        **CELL,
        "metric": string("selected_validation_loss (low is best) or selected_test_accuracy (high is best)"),
        "probability_best": number("", "share of the bootstrap resamples of the seeds in which the size is best"),
        "rank_mean": number("", "mean rank over them, 1 = best"),
        "n": integer("", "seeds"),
    },
    "equal_budget": {
        **CELL,
        "budget": string("what is equal for all sizes: epochs, updates or seconds"),
        "amount": number("of the budget", "how much of it: the most that every run that ended ok has spent"),
        "n": integer("", "runs that have a value at that amount"),
        "n_runs": integer("", "all runs"),
        **_mean("validation_loss", "nat", "validation loss once the amount was spent", "mean over the `n` runs"),
        **_mean("validation_error", "", "one minus the validation accuracy then", "mean over the `n` runs"),
    },
    "rates": {
        **CELL,
        "learning_rate": number("", "rate of the runs; null where they differ"),
        "tuned": boolean("whether the rate was tuned"),
        "at_edge": boolean("whether the best rate may lie beyond those that could be trained", nullable=True),
        "n_trials": integer("", "trials of the tuning"),
        "n_seeds": integer("", "tuning seeds; 1 where runs made elsewhere share none, and count by their means"),
        "optimum": number("", "best rate: geometric mean over the tuning seeds of each one's interpolated optimum"),
        **_ends("optimum", "", "its 95 % t-interval over the tuning seeds, of the logarithm"),
    },
    "tuning_curves": {
        **CELL,
        "learning_rate": number("", "learning rate of the trials", nullable=False),
        "n": integer("", "trials, one per tuning seed"),
        "n_ok": integer("", "trials that ended ok with a loss"),
        "loss_mean": number("nat", "mean over these of the lowest validation loss of a trial"),
        "chosen": boolean("whether the runs of this batch size use the rate"),
    },
    "rate_slopes": {
        **PAIR,
        "n": integer("", "tuning seeds"),
        "fitted": string("labels of the batch sizes that the slope rests on, separated by semicolons"),
        "bounded": string("labels of those of which only two rates are known between which the optimum lies"),
        "left_out": string("labels of the other sizes, whose optimum may lie beyond the rates tried"),
        "slope": number("", "slope of log(best rate) on log(batch size), mean over the seeds; null where only bounded"),
        "slope_lowest": number("", "mean over the seeds of the lowest slope that the optima allow"),
        "slope_highest": number("", "mean over the seeds of the highest slope that the optima allow"),
        "ci_low": number("", "lower end of the 95 % t-interval of the lowest slope"),
        "ci_high": number("", "upper end of the 95 % t-interval of the highest slope"),
    },
}

OF_TARGETS: dict[str, dict[str, Column]] = {
    "to_target": {
        **RUN,
        **_TARGET,
        "reached": boolean("whether the run reached it"),
        **{name: number(unit, f"{name} up to the target; null unless reached") for name, unit in AMOUNTS.items()},
        "budget_epochs": number("epochs", "how far the run was followed"),
        "resolution_epochs": number("epochs", "distance of the two evaluations between which it was reached"),
        "evaluations_in_a_row": integer("", "successive evaluations that have to meet it", nullable=True),
    },
    "targets": {
        **CELL,
        **_TARGET,
        "n": integer("", "runs"),
        "n_reached": integer("", "runs that reached the target"),
        **{
            column: found
            for name, unit in AMOUNTS.items()
            for column, found in _mean(
                name, unit, f"{name} to the target", "mean over the runs; null unless all of them reached it"
            ).items()
        },
        "epochs_median": number("epochs", "Kaplan-Meier median over the runs; null unless half of them reached it"),
        "epochs_restricted_mean": number("epochs", "mean time on the way, up to `restricted_to_epochs` (Kaplan-Meier)"),
        "restricted_to_epochs": number("epochs", "horizon of that mean, one for all sizes of the target"),
        **{
            f"{name}_per_epoch": number(unit, f"{name} of an epoch at this size, median over what reached a target")
            for name, unit in AMOUNTS.items()
            if name != "epochs"
        },
        "law_residual": number("", "ln(`epochs_mean` / fitted law), also of a law that was refused"),
    },
    "critical_batch_size": {
        **PAIR,
        **_TARGET,
        "e_min": number("epochs", "fewest epochs: E_min of the law E = E_min (1 + B / B_crit); null if not known"),
        "b_crit": number("examples", "critical batch size: B_crit of the law"),
        "ci_low": number("examples", "lower end of its 95 % bootstrap interval over runs"),
        "ci_high": number("examples", "upper end"),
        "rmse_log": number("", "root mean square misfit of log E over the sizes"),
        "n_sizes": integer("", "batch sizes fitted"),
        "accepted": boolean("whether the fit is accepted"),
        "reason": string("why not; empty where it is"),
        "at_least": number("examples", "what it is at least, where only that is shown; null elsewhere"),
        "at_most": number("examples", "what it is at most, where only that is shown; null elsewhere"),
        "min_batch_size": integer("examples", "smallest size fitted", nullable=True),
        "max_batch_size": integer("examples", "largest size fitted", nullable=True),
        "e_min_examples": number("examples", "fewest examples: E_min n_train, or E_min where examples were given"),
        "s_min": number("updates", "fewest updates: fewest examples over B_crit"),
        "n_runs": integer("", "runs behind the fit"),
    },
    "savings": {
        **PAIR,
        **_TARGET,
        "choice": string("what is chosen: baseline, batch_size, power_limit or both"),
        "batch_size": integer("examples", "batch size chosen"),
        "power_limit_watts": number("W", "power limit chosen; null where power was not limited"),
        "n": integer("", "runs"),
        "epochs_mean": number("epochs", "epochs to the target, mean over the runs"),
        "joules": number("J", "energy to the target"),
        "saving_percent": number("%", "how much less that is than at the baseline"),
    },
}

OF_CHOICES: dict[str, dict[str, Column]] = {
    "pareto": {
        **CELL,
        "seconds_mean": number("s", "training time to the selected epoch, mean over the runs"),
        **_mean("test_error", "", "one minus the test accuracy there", "mean over the runs"),
        "on_front": boolean("whether no other size is as low in both means and lower in one"),
    },
    "advice": {
        **PAIR,
        "goal": string("time_to_target, test_accuracy, memory, energy or decision_tree"),
        "batch_size": integer("examples", "size with the best mean; null where none can be named", nullable=True),
        "full_batch": boolean("as elsewhere, of that size", nullable=True),
        "value": number("of the row", "its mean"),
        **_INTERVAL,
        "unit": string("unit of the value"),
        "not_told_apart": string("labels of all sizes that may be better, separated by semicolons"),
        "decided": boolean("whether no size is left that may be better"),
        "words": string("the same in sentences"),
        "about": string("the target that time or energy is counted to; empty for other goals", nullable=True),
    },
    "recommendation": {
        **PAIR,
        "basis": string("quality (the metric), target (least time to one, where no quality is known) or none"),
        "reason": string("why no size is recommended; empty where one is"),
        **_size_of("", "recommended size"),
        "metric": string("what sizes are compared by, as in `best`"),
        **_size_of("best_", "size with the best mean of it"),
        "not_worse": string(
            "labels of the sizes that are not significantly worse than the best, separated by semicolons"
        ),
        "as_fast": string("labels of those whose time one timing job each cannot tell apart from its own"),
        "worse": string("labels of those that are, at an adjusted p of at most 0.05"),
        "not_compared": string("labels of those that lack the value of a run, or could not be tested"),
        "n": integer("", "runs of the recommended size", nullable=True),
        "value_mean": number("of the metric", "mean over the runs of the recommended size"),
        **_ends("value", "of the metric"),
        "difference": number(
            "of the metric", "mean of the recommended size minus that of the best; null where the same"
        ),
        **_ends("difference", "of the metric", "its 95 % t-interval (paired, or Welch's), not adjusted"),
        "p_adjusted": number("", "p of that difference, adjusted as in `best`"),
        "seeds_to_tell": integer("", "seeds that would find that difference with 80 % power", nullable=True),
        "seconds": number("s", "mean time of the recommended size, of the kind `seconds_kind`"),
        "seconds_kind": string(
            "to the selected evaluation, per epoch or to the target; empty without a time", nullable=True
        ),
        "best_seconds": number("s", "the same of the size with the best mean"),
        **_size_of("slowest_", "size that takes the most time, of all that were timed"),
        "slowest_seconds": number("s", "its time"),
        "still_improving": string(
            "labels of sizes of which more than half of the runs had their best evaluation at the end of their budget"
        ),
        "edge": string(
            "smallest or largest, where the recommended size (else that of the best mean) is that of those tried",
            nullable=True,
        ),
        "superseded_by": string("recipe that tunes the learning rate and is the same otherwise", nullable=True),
    },
    "tree": {
        **PAIR,
        "step": integer("", "number of the step, from 1"),
        "question": string("question of the decision tree"),
        "measured": string("number that answers it, and the threshold"),
        "answer": string("yes, no or not measured, and what the tree says to do"),
        "next": string("batch size to go on with, in words"),
        "next_batch_size": integer("examples", "the same"),
        "next_full_batch": boolean("as elsewhere, of that size"),
    },
    "verdicts": {
        "claim": string("name of the claim"),
        "statement": string("the claim in a sentence"),
        "source": string("who says so"),
        **PAIR,
        "verdict": string("supported, contradicted, undecided or not measured"),
        "effect": number("of the row", "effect that the test estimates"),
        **_INTERVAL,
        "unit": string("unit of the effect"),
        "n": integer("", "seeds or runs behind it", nullable=True),
        "p": number("", "one-sided, of the statement"),
        "p_adjusted": number("", "the same, adjusted (Holm) over the tests of the study"),
        "detectable": number("of the row", "smallest effect that so many seeds would find with a power of 80 %"),
        "margin": number("of the row", "how far from zero the effect must be"),
        "budget": string("what the runs were given"),
        "scope": string("data set, recipe and sizes that the verdict is about"),
        "measured": string("what was measured, in words"),
        "figure": string("figure that shows it"),
        "reason": string("why there is no other verdict"),
    },
    "published": {
        **PAIR,
        "metric": string("quantity that was published"),
        "batch_size": integer("examples", "batch size; null where the quantity has none", nullable=True),
        "full_batch": boolean("as elsewhere", nullable=True),
        "checkpoint_fraction": number("", "of the budget, for what is measured at weights that the runs kept there"),
        "target_metric": string("metric of the target, for a critical batch size", nullable=True),
        "target": number("of the metric", "that target"),
        "published": number("of the metric", "number that was published"),
        "published_plus_minus": number("of the metric", "spread that was published with it"),
        "source": string("where it was published"),
        "n": integer("", "runs behind the number measured here", nullable=True),
        "value": number("of the metric", "number measured here"),
        "ci_low": number("of the metric", "lower end of its 95 % interval; null where there is none"),
        "ci_high": number("of the metric", "upper end; null where there is none"),
        "sd": number("of the metric", "standard deviation over the runs"),
        "reason": string("why a number is null, or which runs it counts"),
    },
}
