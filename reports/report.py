# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %%
from pathlib import Path

from IPython.display import HTML

from batchscope.report import (
    advice,
    answers,
    content,
    elements,
    evidence,
    probes,
    published,
    reading,
    side_by_side,
    verdicts,
)
from batchscope.report import tables as built

# %% tags=["parameters"]
tables = ""  # folder with the study's tables
figures = ""  # folder with its figures
study = ""  # study.json: what was asked
manifest = ""  # manifest.json: where the results come from

# %%
report = content.load(Path(tables), Path(figures), Path(study), Path(manifest))

# %%
HTML(elements.paragraph(report.study["question"], "lede") + answers.unused_gpus(report.manifest))

# %%
HTML(
    elements.section(
        "The short answer",
        "".join(answers.answer(report, pair) for pair in report.pairs if built.compared(report, pair)),
        "Each box is about one data set and one recipe and holds for them alone: for this model, this optimizer and "
        "its learning-rate rule, and this budget.",
    )
)

# %%
HTML(
    elements.section(
        "Advice",
        "".join(
            box + content.figures(report, pair, "pareto")
            for pair in report.pairs
            if (box := advice.advice(report, pair))
        ),
        "Which batch size to use depends on what is to be saved. A goal is decided where every other size is told "
        "apart from the size named; where it is not, that size has the best mean and others may be as good or better.",
    )
)

# %%
HTML(elements.section("What the documents say, what was measured", verdicts.verdicts(report)))

# %%
HTML(elements.section("Published numbers, and those measured here", published.published(report)))

# %%
HTML(elements.section("What was done", reading.done(report), *reading.introduction(report)))

# %%
HTML(
    content.by_pair(
        report,
        "Summary",
        "summary",
        lambda pair: built.summary(report, pair) if report.trained else "",
        "One row per batch size. In a browser, a click on a heading sorts the table by it.",
    )
)

# %%
HTML(elements.section("Recipes side by side", side_by_side.side_by_side(report) if report.trained else ""))

# %%
HTML(
    content.by_pair(
        report,
        "Which sizes can be told apart",
        "comparison",
        lambda pair: built.comparison(report, pair) if built.compared(report, pair) else "",
        "The size with the lowest mean is the best of those tried only as far as the others can be told apart from "
        "it. Sizes that cannot be told apart are not shown to be equal: more seeds may separate them.",
    )
)

# %%
HTML(
    content.by_pair(
        report,
        "Learning curves",
        "curves",
        lambda pair: content.figures(report, pair, "curves_article", "curves_loss", "curves_accuracy"),
        "The same runs, charged in four ways. Against epochs every size has seen the same examples; against updates "
        "every size has changed its weights as often; against seconds every size has had the same time on this "
        "machine. A size can lead on one axis and trail on another.",
    )
)

# %%
HTML(
    content.by_pair(
        report,
        "Three views of the same runs",
        "budgets",
        lambda pair: evidence.equal_budget(report, pair) + content.figures(report, pair, "equal_budget"),
        "Equal epochs starve large batches of updates, equal updates starve small batches of examples, and equal "
        "seconds depend on the machine. Which size leads is asked of the same runs after each of the three: a "
        "statement that holds in one view only is a statement about its budget.",
    )
)

# %%
HTML(
    content.by_pair(
        report,
        "Targets",
        "targets",
        lambda pair: (
            content.figures(report, pair, "steps_to_target", "time_to_target") + evidence.targets(report, pair)
        ),
        "What each size needs to get to a target. A run that did not get there is not dropped: how many of how many "
        "got there stands beside every number.",
    )
)

# %%
HTML(
    content.by_pair(
        report,
        "Critical batch size",
        "critical",
        lambda pair: (
            evidence.critical(report, pair) + content.figures(report, pair, "examples_to_target", "critical_vs_target")
        ),
        "The batch size at which a run needs twice the fewest epochs to a target: well below it larger batches save "
        "updates at hardly any cost in examples, well above it they cost examples and save hardly any updates.",
        "It is fitted to runs and is not the gradient noise scale, which is measured on frozen weights and may "
        "differ from it by far. It holds for its target, this model and this policy for the learning rate; it tends "
        "to grow as the target tightens.",
    )
)

# %%
HTML(
    content.by_pair(
        report,
        "Learning rate per batch size",
        "rates",
        lambda pair: evidence.rates(report, pair) + content.figures(report, pair, "tuning", "rate_vs_batch"),
        "Every size tried the same learning rates, and more where the best was the lowest or the highest of them, on "
        "seeds that no run of the study has.",
    )
)

# %%
HTML(
    content.by_pair(
        report,
        "From update to update",
        "updates",
        lambda pair: content.figures(report, pair, "step_losses", "noise_vs_batch", "gradient_norm", "weight_path"),
        "The loss of a single batch is a reading of the loss of all the data with noise in it. How large the noise "
        "is at each size, and what of it reaches a weight, is measured here.",
    )
)

# %%
HTML(probes.sections(report, "why"))

# %%
HTML(
    content.by_pair(
        report,
        "Time and throughput",
        "time",
        lambda pair: (
            built.disturbed(report, pair)
            + built.speed(report, pair)
            + content.figures(report, pair, "time_per_epoch", "throughput")
            if report.trained
            else ""
        ),
        "Seconds come from timings, each alone on the machine. A short epoch is not yet a short training: how many "
        "epochs a size needs, and how far it gets, is in the learning curves.",
    )
)

# %%
HTML(probes.sections(report, "time"))

# %%
HTML(
    content.by_pair(
        report,
        "Memory, utilisation and energy",
        "resources",
        lambda pair: (
            built.resources(report, pair) + content.figures(report, pair, "memory", "utilisation")
            if report.trained
            else ""
        ),
    )
)

# %%
HTML(
    content.by_pair(
        report,
        "Accuracy and the gap between training and test",
        "accuracy",
        lambda pair: (
            built.results(report, pair)
            + content.figures(report, pair, "accuracy_vs_batch", "gap_vs_batch", "updates_vs_batch")
            if report.trained or report.has("best", pair, "accuracy_mean")
            else ""
        ),
        "Equal epochs give a large batch fewer updates than a small one, so a lower accuracy at a large size may be "
        "a lack of updates and not a property of the size.",
    )
)

# %%
HTML(
    content.by_pair(
        report,
        "Energy savings",
        "savings",
        lambda pair: evidence.savings(report, pair),
        "Energy to the target at the best batch size, the best power limit, and the best of both, against what was "
        "used.",
    )
)

# %%
HTML(
    content.by_pair(
        report,
        "A decision tree, followed",
        "tree",
        lambda pair: advice.tree(report, pair),
        "One of the source documents chooses a batch size by questions. They are asked here of the measured numbers; "
        "what comes of it is held against the measured best under Advice.",
    )
)

# %%
HTML(
    elements.section(
        "What diverged or ran out of memory",
        (built.outcomes(report) if report.trained else "")
        + "".join(
            heading + content.figures(report, pair, "outcomes")
            for pair, heading in content.per_pair(report, "outcomes")
            if built.lost(report, pair)
        ),
    )
)

# %%
HTML(elements.section("What was not measured", built.not_measured(report) if report.trained else ""))

# %%
HTML(elements.section("How to read this page", reading.terms(report)))

# %%
HTML(elements.section("Limits", reading.limits(report)))

# %%
HTML(
    elements.section(
        "Where the numbers come from",
        reading.files(report)
        + elements.mapping(report.manifest, "Machine, software, code and command of this study.", "manifest"),
    )
)
