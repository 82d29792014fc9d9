# What the other files need: the validated study, names that wildcards may take, fingerprints of the code, lists of files.
import json
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.logging import logger

LIBRARY = ROOT / "scripts" / "batchscope"
sys.path.insert(0, str(LIBRARY.parent))

from batchscope import measured, records, recipes, splits, study as studies
from batchscope.analysis import TABLES
from batchscope.datasets import own_files
from batchscope.figures import FIGURES

# For the manifest; jobs inherit it, and it may not be a param, which would make every new command a reason to run again.
os.environ.setdefault(
    "BATCHSCOPE_COMMAND", shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
)

try:
    STUDY = studies.load(config, ROOT)
except studies.ConfigError as error:
    sys.exit(str(error))


def code(*patterns, root=LIBRARY):
    """Fingerprint of source files: a job whose code changed runs again, although Snakemake follows no import."""
    files = [
        file for pattern in patterns for file in root.glob(pattern) if file.is_file()
    ]
    return records.code_fingerprint(files, root)


def given(files):
    """Files that the user brings. A module's prefix moves what the workflow makes, but not these."""
    return [local(file) for file in files]


def any_of(names):
    """Regular expression that matches exactly these names."""
    return "|".join(re.escape(str(name)) for name in sorted(set(names)))


def all_cores(wildcards):
    """Every core of this machine; on a cluster, whose profile gives the job a node of its own, those that it uses."""
    on_cluster = workflow.non_local_exec or workflow.remote_exec
    return STUDY.settings["threads"] if on_cluster else workflow.cores


def dataset_file(dataset, seed):
    """The data that a run of this seed trains on."""
    return (
        f"results/datasets/{dataset}/{studies.draw(STUDY.datasets[dataset], seed)}.npz"
    )


def run_files(name):
    """One file of every run of the study, in the study's order."""
    return [
        f"results/runs/{run.dataset}/{run.recipe}/bs{run.batch_size}/seed{run.seed}/{name}"
        for run in STUDY.runs
    ]


def timing_files(name):
    """One file of every timing of the study."""
    return [
        f"results/timings/{cell.dataset}/{cell.recipe}/bs{cell.batch_size}/{name}"
        for cell in STUDY.cells
    ]


def tuning_data(dataset, recipe):
    """The data of every tuning seed of a recipe: one file, or one per seed where each draws its own."""
    seeds = STUDY.recipes[recipe]["tuning"]["seeds"]
    return list(dict.fromkeys(dataset_file(dataset, seed) for seed in seeds))


def tuning_files(name, dataset, recipe, batch_size, **rest):
    """One file of the tuning that a run's learning rate comes from; none where the rate is not tuned."""
    tuned = STUDY.recipes[recipe]["tuning"] is not None
    return (
        [f"results/tunings/{dataset}/{recipe}/bs{batch_size}/{name}"] if tuned else []
    )


def all_tuning_files(name):
    """One file of every tuning of the study."""
    return [file for cell in STUDY.tunings for file in tuning_files(name, **vars(cell))]


def probe_files(name, probe):
    """One file of every job of a probe of the study."""
    folder = f"results/{STUDY.name}/probes/{probe}"
    if probe == "overheads":
        jobs = [
            f"{cell.dataset}/{cell.recipe}/bs{cell.batch_size}"
            for cell in STUDY.probed_cells(probe)
        ]
    else:
        jobs = [
            f"{run.dataset}/{run.recipe}/bs{run.batch_size}/seed{run.seed}"
            for run in STUDY.probed_runs(probe)
        ]
    return [f"{folder}/{job}/{name}" for job in jobs]


def probe_params(probe):
    """What a probe's job gets beside its files: the recipe, the run, and the study's own keys of the probe."""
    own = STUDY.probes[probe] or {}
    chosen = {key: own[key] for key in own if key not in ("recipes", "trained_with")}
    return {
        "probe": probe,
        "recipe": lambda wildcards: STUDY.recipes[wildcards.recipe],
        "run": lambda wildcards: {
            "dataset": wildcards.dataset,
            "recipe": wildcards.recipe,
            "batch_size": wildcards.batch_size,
            "seed": int(wildcards.get("seed", 0)),
        },
        "settings": {**SETTINGS, **STUDY.settings["timing"], **chosen},
        "code": PROBE_CODE,
        "software": code("train.yaml", root=ROOT / "envs"),
    }


def table_files(suffix):
    """The study's tables; for a rule, so with its wildcard."""
    return [f"results/{{study}}/tables/{table}.{suffix}" for table in TABLES]


# At the start of a line Snakemake takes the word `report` for its directive.
report_item = report


def figure_outputs(group):
    """The figures of a group, for a rule, so with its wildcards; all are items of Snakemake's own report."""
    return [
        report_item(
            f"results/{{study}}/figures/{name}-{{dataset}}-{{recipe}}.svg",
            category="Figures",
            subcategory="{dataset}, {recipe}",
            labels={"figure": figure.title},
            caption="../reports/captions/figure.rst",
        )
        for name, figure in FIGURES.items()
        if figure.group == group
    ]


def figure_files():
    """Every figure that the study has something to draw for, for every data set and recipe that meet in it."""
    pairs = {"tuning": {(cell.dataset, cell.recipe) for cell in STUDY.tunings}}
    for probe in STUDY.probes:
        pairs[probe] = {(run.dataset, run.recipe) for run in STUDY.probed_runs(probe)}
    return [
        f"results/{STUDY.name}/figures/{name}-{dataset}-{recipe}.svg"
        for dataset, recipe in STUDY.pairs
        for name, figure in FIGURES.items()
        if (figure.group == "runs" and STUDY.measurements is None)
        or (figure.group == "targets" and STUDY.has_targets(dataset))
        or (dataset, recipe) in pairs.get(figure.group, ())
    ]


def warn_of_other_definitions():
    """Say so where runs that are there were trained with another recipe of the same name: they will be replaced."""
    for name, recipe in STUDY.recipes.items():
        for file in (PREFIX / "results/runs").glob(f"*/{name}/*/*/manifest.json"):
            known = json.loads(file.read_text())["identity"]["recipe"]
            if recipe["tuning"] is not None:  # whose rate differs from size to size
                known = recipes.with_learning_rate(
                    known, recipe["optimiser"]["learning_rate"]
                )
            if known != recipe:
                logger.warning(
                    f"recipe {name} is not what it was when the runs in {file.parents[2]} were trained: they will be "
                    "made again and replaced. To keep both, give one of the two recipes another name."
                )
                break


def check_own_files():
    """Refuse a user's data before any job starts; say so where they are other data than those that runs saw."""
    for name, dataset in STUDY.datasets.items():
        seed = next(run.seed for run in STUDY.runs if run.dataset == name)
        made = PREFIX / dataset_file(name, seed)
        if dataset["source"] not in own_files.SOURCES or own_files.is_made(
            dataset, made
        ):
            continue
        try:
            own_files.check(dataset, studies.draw(dataset, seed))
        except splits.DataError as error:
            sys.exit(str(error))
        runs = PREFIX / "results/runs" / name
        trained = any(runs.glob("*/*/*/manifest.json"))
        if trained and own_files.gives_other_data(dataset, made):
            logger.warning(
                f"data set {name} is not what it was when the runs in {runs} were trained: they will be "
                "made again and replaced. To keep both, give one of the two data sets another name."
            )


warn_of_other_definitions()
check_own_files()


wildcard_constraints:
    study=any_of([STUDY.name]),
    dataset=any_of(dataset for dataset, _ in STUDY.pairs),
    recipe=any_of(recipe for _, recipe in STUDY.pairs),
    batch_size=r"\d+|full",
    seed=r"\d+",
    draw=r"fixed|seed\d+",
