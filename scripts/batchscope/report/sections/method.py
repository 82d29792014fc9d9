"""What was done, how to read the page, what it does not say, and where the numbers come from."""

from __future__ import annotations

from pathlib import Path

from batchscope import text
from batchscope.figures.sheets import rows
from batchscope.report import describe, elements
from batchscope.report.content import Content
from batchscope.report.sections.elsewhere import all_runs
from batchscope.tables.cells import RUN, SIZE

_TRAINED = (
    "Every combination of data set, recipe, batch size and seed was trained as a run of its own. At every "
    "evaluation, which is once per epoch where the recipe does not say otherwise, the loss on the validation part "
    "decides whether it is the best so far. The test part is read only when training has ended, with the last "
    "weights and with those of the best evaluation, and is never used for selection."
)
_IMPORTED = "Nothing was trained here: measurements that were made elsewhere are read and analysed."

_SHARED = "Runs with the same seed share what it decides, as the study says, so sizes are compared in pairs of them."
_INDEPENDENT = (
    "Runs of equal number at two batch sizes have nothing in common, as far as the study says, so they are not "
    "compared in pairs."
)


def design(content: Content) -> str:
    """The design of the study."""
    introduction = _TRAINED if content.trained else _IMPORTED
    return elements.section("What was done", done(content), introduction)


def done(content: Content) -> str:
    """The comparisons, and a paragraph on each data set, recipe and way of measuring."""
    study, runs = content.study, content.tables["runs"]
    if not content.trained:
        return elements.terms(_imported(content))
    devices, numerics = list(runs["device"].unique()), content.manifest.get("numerics", [])
    parts = [
        (row["dataset"], (row["n_train"], row["n_validation"], row["n_test"]))
        for row in rows(runs.drop_duplicates("dataset"))
    ]
    return elements.bullets(describe.comparisons(study["cells"])) + elements.terms(
        [(f"Data set {name}", describe.dataset(study["datasets"][name], sizes)) for name, sizes in parts]
        + [(f"Recipe {name}", describe.recipe(recipe)) for name, recipe in study["recipes"].items()]
        + [
            ("Seeds and pairs", describe.seeds(study["seeds"])),
            ("Seconds", describe.timing(study)),
            ("Intervals", describe.intervals()),
            ("Training", describe.machine(study, devices, numerics)),
        ]
    )


def _imported(content: Content) -> list[tuple[str, str]]:
    given, runs = content.study["measurements"], content.tables["runs"]
    assert given is not None
    sizes = runs[SIZE].drop_duplicates()
    words = [
        (
            "Runs",
            f"{text.count(all_runs(content), 'run')} at {text.count(len(sizes), 'batch size')}, from the file "
            f"{Path(given['runs']['path']).name}. {_SHARED if given['runs']['shared_seeds'] else _INDEPENDENT}",
        )
    ]
    if given.get("histories") is not None:
        words.append(("Courses", _courses(content)))
    if given.get("notes"):
        words.append(("How the files were read", " ".join(given["notes"])))
    left_out = content.tables["left_out"]
    if len(left_out):
        counts = left_out.groupby("reason", sort=False)["rows"].sum().sort_values(ascending=False, kind="stable")
        reasons = text.listing([f"{text.integer(int(n))} ({reason})" for reason, n in counts.items()])
        words.append(("Left out", f"{text.count(int(counts.sum()), 'row')} of the file are no results: {reasons}."))
    if given["timings"] is not None:
        words.append(
            (
                "Seconds and power",
                f"From the file {Path(given['timings']['path']).name}; one number per batch size and setting, so no "
                "interval speaks of their own spread.",
            )
        )
    if given["baseline"] is not None:
        limit = given["baseline"]["power_limit_watts"]
        at = "" if limit is None else f" with a power limit of {text.number(limit)} W"
        size = text.integer(given["baseline"]["batch_size"])
        words.append(("Baseline", f"Savings are against batch size {size}{at}."))
    return words


def _courses(content: Content) -> str:
    """Which runs have a history, and which targets they were to reach."""
    given, runs, looks = content.study["measurements"], content.tables["runs"], content.tables["evaluations"]
    assert given is not None
    followed = f"{len(looks[RUN].drop_duplicates())} of {text.count(len(runs), 'run')}"
    found = (
        f"The file {Path(given['histories']['path']).name} holds the course of {followed}. A run reached a target "
        "between two evaluations, as runs of this workflow do."
    )
    if content.study["targets"]:
        return f"{found} The study names the targets."
    return (
        f"{found} The study names no targets: they are the values that all, 90 % and 50 % of the runs on a data set "
        "reach, in two evaluations in a row and whatever their batch size."
    )


def terms(content: Content) -> str:
    """The words of the page, as far as the study has what they name, and what the captions of its figures leave out."""
    words = [*_TERMS] if content.trained else []
    words += [_TARGET] if content.trained and len(content.tables["targets"]) else []
    words += [*_TERMS_OF_ANY, *(_FIGURES_OF_RUNS if content.trained else ())]
    if len(content.tables["to_target"]):
        words.append(_WAY if content.trained else _WAY_ELSEWHERE)
    figures = _FIGURES if content.trained else {**_FIGURES, **_FIGURES_ELSEWHERE}
    words += [found for table, found in figures.items() if len(content.tables[table])]
    return elements.section("Glossary: how to read this page", elements.terms(words))


_FIGURES_OF_RUNS = (
    (
        "Dots, bars and bands",
        "Bars and bands are 95 % t-intervals over the runs that ended ok. A bar that goes on to zero or below ends "
        "at the edge of a logarithmic axis; bands of accuracies are cut at 0 and 1. Runs of a seed start from the "
        "same weights on the same data: sizes are compared along the thin lines that join them.",
    ),
    (
        "Curves",
        "Against updates and seconds, curves start at the first evaluation after an update, else at the one before. "
        "The test part is not drawn: it is read only when training has ended. Single updates are thinned; a path of "
        "a weight then starts at its second record on the axis of updates. Norms of gradients far below the largest "
        "run out of their panel.",
    ),
)
_WAY = (
    "On the way to a target",
    "A target is put half-way between the first evaluation that counts and the one before; where all runs of a size "
    "reach it between the same two, they show no spread. A run that missed it stands where it ended, at the upper edge "
    "where that is not known in the unit, and is in no mean; one that diverged counts as followed as long as any. Runs "
    "that met a target before training are not drawn: a logarithmic axis has no zero. In tables and figures, intervals "
    "of seconds are those of the runs: a size has one time per update, on the machine that was timed. Where the answer "
    "and its goals compare sizes, intervals also hold how far that timing may be off.",
)
_WAY_ELSEWHERE = (
    "On the way to a target",
    "Epochs, updates or examples to a target are those of the file; with histories, a target is put half-way between "
    "the first evaluation that counts and the one before. Where all runs of a size reach it at the same evaluation, "
    "they show no spread. A run that missed it stands where it ended, at the upper edge where that is not known, and "
    "is in no mean. Intervals of seconds and joules are those of the runs: a size has one time and power.",
)
_FIGURES_ELSEWHERE = {
    "trials": (
        "Best learning rate",
        "The vertex of the parabola through the best rate of a repetition and its two neighbours. Where the best lies "
        "at the edge of those tried, it may lie beyond. The slopes 1 and 1/2 start at the best rate of the smallest "
        "size and are not fitted.",
    ),
    "pareto": ("Front", "It is one of means: where bars overlap widely, other runs may give another front."),
}
_FIGURES = {
    "critical_batch_size": (
        "Critical batch size",
        "It comes from the epochs to a target of these runs alone; it is not the noise scale of gradients and need "
        "not equal it. The law is drawn over the sizes it was fitted to, where it was accepted; outside them a "
        "critical size is an extrapolation. Perfect scaling starts at the smallest size that all runs finished: "
        "twice the size, half the updates. Residuals with a pattern along the batch sizes say that the law does not "
        "describe the runs.",
    ),
    "equal_budget": (
        "Equal budgets",
        "Values lie on the straight line between the evaluations around the budget. Equal epochs starve large "
        "batches of updates, equal updates starve small ones of examples, and equal seconds hold for this machine "
        "alone: sizes can rank differently by the budget that is held equal. A run has no value for want of an "
        "evaluation within the budget or of a timing, or because it failed.",
    ),
    "trials": (
        "Best learning rate",
        "The vertex of the parabola through the best trial of a tuning seed and its two neighbours. Where the best "
        "trial lies at the edge of the grid, more are added; where it still lies at the edge of what could be "
        "trained, the best rate may lie beyond it. The slopes 1 and 1/2 start at the best rate of the smallest size "
        "and are not fitted.",
    ),
    "pareto": (
        "Front",
        "It is one of means: where bars overlap widely, another set of seeds may give another front.",
    ),
}
_TARGET = (
    "Target",
    "A loss or an error that was fixed before the runs. It counts as reached only where the run stays at or below it "
    "for as many evaluations in a row as the study asks for, so that one lucky evaluation does not count.",
)
_TERMS_OF_ANY = (
    (
        "Decided",
        "All other sizes are significantly worse than the one named, by tests that are adjusted for all pairs of sizes "
        "of the question. Where it says not decided, the size named has the best mean and no more.",
    ),
    (
        "0.953 [0.949, 0.957]",
        "A mean with its interval over runs, or, for seconds, a median over windows with its interval.",
    ),
    ("A dash", "Not measured, or not defined there. It is never a zero."),
)
_TERMS = (
    (
        "Batch size",
        "Examples per update. Full is the whole training part: one update per epoch.",
    ),
    (
        "Update",
        "One change of the weights, also called a step. An epoch of N examples has N / B of them at batch size B, "
        "rounded up where the last, smaller batch is kept.",
    ),
    (
        "Best validation loss",
        "The lowest loss on the validation part at any evaluation of a run, the minimum of a noisy curve. Best epoch "
        "is the epoch of that evaluation; final is after the last update.",
    ),
    (
        "Noise of the step loss",
        "Root of a sixth of the mean squared second difference of the losses of successive whole batches, median over "
        "the last half of the run: how far the loss of one batch strays, a steady fall left out.",
    ),
    (
        "Significantly different",
        "The paired test rejects that both sizes have the same mean, after adjusting for all pairs of sizes: in the "
        "tables of losses those of the whole study, by goal those of its question.",
    ),
    (
        "Utilisation",
        "The share of time in which the processor, or a kernel on the GPU, was busy. A busy processor may still use "
        "little of its arithmetic, so 100 % at a small batch does not mean that the hardware is used well.",
    ),
)


_ROUGH = "Intervals and tests take the means over runs as normally distributed; with few runs they are rough."


def limits(content: Content) -> str:
    """The limits of the answers, as far as they depend on the kind of study."""
    found = _of_runs(content) if content.trained else _of_measurements(content)
    return elements.section("Limits", elements.bullets(found))


def _of_measurements(content: Content) -> list[str]:
    given = content.tables["rate_choices"].empty
    tuned = (
        "whether runs at different sizes were tuned alike is for their source to say"
        if given
        else "only the learning rate was chosen for each size, among those in the table"
    )
    return [
        f"The measurements are taken as they are: who made them and how is not checked here, and {tuned}.",
        "The answers are about the model, the data and the machine of these measurements.",
        _ROUGH,
    ]


def _of_runs(content: Content) -> list[str]:
    return [
        "The answers are about these data sets, models, optimizers, learning-rate rules and budgets. Another model "
        "or another learning rate can reverse them.",
        *_budgets(content),
        *_learning_rates(content),
        "Momentum, the optimizer's averages, weight decay and the moving statistics of batch normalization work "
        "per update, so they reach over more examples at larger sizes, unless the rule of a recipe scales them.",
        "A batch size near the number of training examples leaves few updates per epoch, and batches that overlap "
        "from epoch to epoch; differences to it are not those between two samples of a large population.",
        "The spread between seeds holds initial weights, order and dropout, and the draw of the data only where "
        "each seed draws its own.",
        _ROUGH,
        "Seconds, memory and utilisation are those of the machines and the versions of the software named below.",
    ]


def _budgets(content: Content) -> list[str]:
    budgets = [recipe["budget"] for recipe in content.study["recipes"].values()]
    in_epochs = [budget for budget in budgets if budget.get("updates") is None]
    sentences = []
    if in_epochs:
        who = "Every size" if len(in_epochs) == len(budgets) else "With a budget in epochs every size"
        sentences.append(
            f"{who} trains for the same number of epochs at most, so large sizes make fewer updates. A size that was "
            "still improving when its epochs ran out has not shown what it can reach."
        )
    if len(in_epochs) < len(budgets):
        who = "With a budget in updates every size" if in_epochs else "Every size"
        sentences.append(
            f"{who} makes the same number of updates at most, so small sizes see fewer examples. A size that was still "
            "improving when its updates ran out has not shown what it can reach."
        )
    return sentences


def _learning_rates(content: Content) -> list[str]:
    """What was done about the learning rate, per kind of recipe."""
    recipes = content.study["recipes"]
    tuned = [name for name, recipe in recipes.items() if recipe.get("tuning")]
    scaled = [
        name
        for name, recipe in recipes.items()
        if name not in tuned and recipe["learning_rate_scaling"]["rule"] != "none"
    ]
    fixed = [name for name in recipes if name not in tuned and name not in scaled]
    sentences = []
    if fixed:
        sentences.append(
            f"With {text.listing(fixed)} the learning rate is the same for all sizes, which suits some of them "
            "better than others; it was not tuned per size."
        )
    if scaled:
        sentences.append(
            f"With {text.listing(scaled)} a rule scales the learning rate, which is a guess about which rate suits "
            "a size; it was not tuned per size."
        )
    if tuned:
        sentences.append(
            f"With {text.listing(tuned)} the learning rate was tuned at every size, on seeds of its own: among the "
            "rates tried, and by the best validation loss, so other rates, or another goal, may favour other sizes. "
            "Nothing else was tuned. The validation data that choose the rate also choose the epoch, so a best "
            "validation loss looks a little better than it is; the test data are never used for selection."
        )
    return sentences


def provenance(content: Content) -> str:
    """Links to the tables that lie beside the page, and the manifest of the study."""
    manifest = elements.mapping(content.manifest, "Machine, software, code and command of this study.", "manifest")
    return elements.section("Machine, software, code and command", manifest)


def files(content: Content) -> str:
    """Links to the tables that lie beside the page; those without rows are left out."""
    links = [
        elements.link(f"tables/{name}.csv", name.replace("_", " "))
        for name, table in content.tables.items()
        if len(table)
    ]
    book = elements.link("tables/codebook.csv", "what every column means")
    return (
        f"<p>The tables and figures lie beside this page: {', '.join(links)}; and {book}. So does report.ipynb, the "
        "notebook that made the page. The page needs none of them.</p>"
    )
