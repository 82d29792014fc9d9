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

from batchscope.report import answers, content, describe, elements
from batchscope.report import tables as built

# %% tags=["parameters"]
tables = ""  # folder with the study's tables
figures = ""  # folder with its figures
study = ""  # study.json: what was asked
manifest = ""  # manifest.json: where the results come from

# %%
report = content.load(Path(tables), Path(figures), Path(study), Path(manifest))

# %%
HTML(elements.paragraph(report.study["question"], "lede"))

# %% [markdown]
# ## The short answer
#
# Each box is about one data set and one recipe and holds for them alone: for this model, this optimiser and its
# learning-rate rule, and this budget of epochs.

# %%
HTML("".join(answers.answer(report, pair) for pair in report.pairs))

# %% [markdown]
# ## What was done
#
# Every combination of data set, recipe, batch size and seed was trained as a run of its own. After every epoch the
# loss on the validation part decides which epoch is the best. The test part is read only when training has ended, with
# the last weights and with those of the best epoch, and decides nothing.

# %%
HTML(
    elements.bullets(describe.comparisons(report.study["cells"]))
    + elements.terms(
        [(f"Data set {name}", describe.dataset(report.study["datasets"][name], sizes)) for name, sizes in report.parts]
        + [(f"Recipe {name}", describe.recipe(recipe)) for name, recipe in report.study["recipes"].items()]
        + [
            ("Seeds and pairs", describe.seeds(report.study["seeds"])),
            ("Seconds", describe.timing(report.study)),
            ("Intervals", describe.intervals()),
            ("Training", describe.machine(report.study, list(report.tables["runs"]["device"].unique()))),
        ]
    )
)

# %% [markdown]
# ## Summary
#
# One row per batch size. In a browser, a click on a heading sorts the table by it.

# %%
HTML("".join(heading + built.summary(report, pair) for pair, heading in content.per_pair(report, "summary")))

# %% [markdown]
# ## Which sizes can be told apart
#
# The size with the lowest mean is the best of those tried only as far as the others can be told apart from it. Sizes
# that cannot be told apart are not shown to be equal: more seeds may separate them.

# %%
HTML("".join(heading + built.comparison(report, pair) for pair, heading in content.per_pair(report, "comparison")))

# %% [markdown]
# ## Learning curves
#
# The same runs, charged in four ways. Against epochs every size has seen the same examples; against updates every
# size has changed its weights as often; against seconds every size has had the same time on this machine. A size can
# lead on one axis and trail on another.

# %%
HTML(
    "".join(
        heading + content.figures(report, pair, "curves_article", "curves_loss", "curves_accuracy")
        for pair, heading in content.per_pair(report, "curves")
    )
)

# %% [markdown]
# ## From update to update
#
# The loss of a single batch is a reading of the loss of all the data with noise in it. How large the noise is at each
# size, and what of it reaches a weight, is measured here.

# %%
HTML(
    "".join(
        heading + content.figures(report, pair, "step_losses", "noise_vs_batch", "gradient_norm", "weight_path")
        for pair, heading in content.per_pair(report, "updates")
    )
)

# %% [markdown]
# ## Time and throughput
#
# Seconds come from timings, each alone on the machine. A short epoch is not yet a short training: how many epochs a
# size needs, and how far it gets, is in the learning curves.

# %%
HTML(
    "".join(
        heading
        + built.disturbed(report, pair)
        + built.speed(report, pair)
        + content.figures(report, pair, "time_per_epoch", "throughput")
        for pair, heading in content.per_pair(report, "time")
    )
)

# %% [markdown]
# ## Memory, utilisation and energy

# %%
HTML(
    "".join(
        heading + built.resources(report, pair) + content.figures(report, pair, "memory", "utilisation")
        for pair, heading in content.per_pair(report, "resources")
    )
)

# %% [markdown]
# ## Accuracy and the gap between training and test
#
# Equal epochs give a large batch fewer updates than a small one, so a lower accuracy at a large size may be a lack of
# updates and not a property of the size.

# %%
HTML(
    "".join(
        heading
        + built.results(report, pair)
        + content.figures(report, pair, "accuracy_vs_batch", "gap_vs_batch", "updates_vs_batch")
        for pair, heading in content.per_pair(report, "accuracy")
    )
)

# %% [markdown]
# ## What diverged or ran out of memory

# %%
HTML(
    built.outcomes(report)
    + "".join(
        heading + content.figures(report, pair, "outcomes")
        for pair, heading in content.per_pair(report, "outcomes")
        if built.lost(report, pair)
    )
)

# %% [markdown]
# ## What was not measured

# %%
HTML(built.not_measured(report))

# %% [markdown]
# ## How to read this page
#
# - **Batch size**: Examples per update. *Full* is the whole training part: one update per epoch.
# - **Update**: One change of the weights, also called a step. An epoch of *N* examples has *N* / *B* of them at batch
#   size *B*, rounded up where the last, smaller batch is kept.
# - **Best validation loss**: The lowest loss on the validation part after any epoch of a run, the minimum of a noisy
#   curve. *Best epoch* is that epoch; *final* is after the last one.
# - **Noise of the step loss**: Root of a sixth of the mean squared second difference of the losses of successive whole
#   batches, median over the last half of the epochs: how far the loss of one batch strays, a steady fall left out.
# - **0.953 [0.949, 0.957]**: A mean with its interval over seeds, or, for seconds, a median with its quartiles over
#   windows.
# - **Told apart**: The paired test rejects that both sizes have the same mean loss, after adjusting for all pairs of
#   sizes of the study. Test accuracies are shown and not tested.
# - **Utilisation**: The share of time in which the processor, or a kernel on the GPU, was busy. A busy processor may
#   still use little of its arithmetic, so 100 % at a small batch does not mean that the hardware is used well.
# - **A dash**: Not measured, or not defined there. It is never a zero.

# %% [markdown]
# ## Limits
#
# - The answers are about these data sets, models, optimisers, learning-rate rules and budgets. Another model or
#   another learning rate can turn them round.
# - Every size trains for the same number of epochs at most, so large sizes make fewer updates. A size that was still
#   improving when its epochs ran out has not shown what it can reach.
# - A learning rate that is the same for all sizes suits some of them better than others; a rule that scales it is a
#   guess about which rate suits. No rate was tuned per size here. Momentum, the optimiser's averages, weight decay and
#   the moving statistics of batch normalisation work per update, so they reach over more examples at larger sizes.
# - A batch size near the number of training examples leaves few updates per epoch, and batches that overlap from epoch
#   to epoch; differences to it are not those between two samples of a large population.
# - The spread between seeds holds initial weights, order and dropout, and the draw of the data only where each seed
#   draws its own.
# - Intervals and tests take the means over seeds as normally distributed; with few seeds they are rough.
# - Seconds, memory and utilisation are those of the machines and the versions of the software named below.

# %% [markdown]
# ## Where the numbers come from
#
# The tables and figures lie beside this page: [runs](tables/runs.csv), [epochs](tables/epochs.csv),
# [steps](tables/steps.csv), [timings](tables/timings.csv), [windows](tables/windows.csv),
# [metrics](tables/metrics.csv), [summary](tables/summary.csv), [best](tables/best.csv), [choices](tables/choices.csv)
# and [what was not measured](tables/not_measured.csv). The page needs none of them.

# %%
HTML(elements.mapping(report.manifest, "Machine, software, code and command of this study.", "manifest"))
