# What the other files need: the validated study, what it asks of its jobs, names that wildcards may take, lists of files.
import contextlib
import functools
import json
import os
import re
import shlex
import sys
import warnings
import yaml
from itertools import chain
from pathlib import Path

from snakemake.io import IOFile
from snakemake.logging import logger
from snakemake.settings.enums import RerunTrigger

SCRIPTS = ROOT / "scripts"
sys.path.insert(0, str(SCRIPTS))

from batchscope.config.errors import ConfigError
from batchscope.config.spelling import SpellingWarning
from batchscope.config.yaml_files import typed
from batchscope.data.splits import DataError
from batchscope.figures import FOLLOWED
from batchscope.identity import asked, digests, imports, source_code
from batchscope.jobs import machine, provenance, stamps, warm
from batchscope.probes.registry import PROBES, STUDY_FIGURES, STUDY_TABLES
from batchscope.study import definition_files, drawn, exports, model as studies
from batchscope.tables.cells import folder
from batchscope.training import engines, recipes

# For the manifest; jobs inherit it, and it may not be a param, which would make every new command a reason to run again.
os.environ.setdefault(
    "BATCHSCOPE_COMMAND", shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
)


@contextlib.contextmanager
def in_one_sentence():
    """End with a sentence, and without a traceback, where something of the user's cannot be used or read."""
    try:
        yield
    except (ConfigError, DataError, stamps.StampError) as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")


with in_one_sentence(), warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always", SpellingWarning)
    GIVEN = typed(config, workflow.config_settings.config)
    if workflow.is_main_process:
        for sentence in exports.prepare(GIVEN, ROOT, PREFIX / "results"):
            logger.info(sentence)
    STUDY = studies.load(GIVEN, ROOT, PREFIX / "results")
if workflow.is_main_process:
    for warning in told:
        logger.warning(str(warning.message))
# A job looks here for downloaded files. It is no param, as another folder is no reason to make data again.
config.setdefault("data_folders", list(STUDY.settings.data_folders))


# What the source code says is kept in the working directory, as the programs of JAX are.
READ = Path(".cache", "source_code.json")
source_code.recall(READ)


@functools.cache
def code(script, folder=SCRIPTS, **chosen):
    """Fingerprint of a script and of all modules that it imports; Snakemake itself follows no import."""
    return imports.fingerprint(
        imports.closure(folder / script, SCRIPTS, **chosen), ROOT
    )


def content(files):
    """SHA-256 of each file, by path: content decides what is made again, and not the time stamp alone."""
    return {str(file): digests.file_sha256(file) for file in files}


ENGINE = engines.about(STUDY.settings.engine)
ENVIRONMENT = ENGINE.environment_file + (
    "-gpu" if STUDY.settings.device == "gpu" else ""
)
PROBED = [PROBES[name] for name in STUDY.probes]
with in_one_sentence():
    ASKED = asked.Asked(
        study=STUDY.describe(),
        code={
            name: code(f"{name}.py", engine=STUDY.settings.engine)
            for name in ("make_dataset", "tune_cell", "train", "time_cell")
            if STUDY.runs  # else nothing trains, and their code makes no table
        }
        | {
            f"probe_{probe.name}": code(
                "probe.py", probe=probe.name, engine=STUDY.settings.engine
            )
            for probe in PROBED
        },
        software=digests.fingerprint(
            yaml.safe_load((ROOT / "envs" / f"{ENVIRONMENT}.yaml").read_text())
        ),
        files={
            "datasets": {
                name: content(definition_files.files(dataset))
                for name, dataset in STUDY.datasets.items()
            },
            "recipes": {
                name: content(definition_files.files(recipe))
                for name, recipe in STUDY.recipes.items()
            },
        },
        environment={
            name: os.environ[name] for name in ENGINE.environment if name in os.environ
        },
        probes={probe.name: probe.looks_at for probe in PROBED},
    )
    MEASURED = content(STUDY.measured_files)
# What the tables and the description of the study are made for.
MADE_FOR = digests.fingerprint([vars(ASKED), MEASURED])


def given(files):
    """Files that the user brings. A module's prefix moves what the workflow makes, but not these."""
    return [local(file) for file in files]


def any_of(names):
    """Regular expression that matches exactly these names."""
    return "|".join(re.escape(str(name)) for name in sorted(set(names)))


def all_cores(wildcards):
    """Every core of this machine; on a cluster, whose profile gives the job a node of its own, those that it uses."""
    on_cluster = workflow.non_local_exec or workflow.remote_exec
    return STUDY.settings.threads if on_cluster else workflow.cores


def dataset_file(dataset, seed, suffix="npz"):
    """The data that a run of this seed trains on, or what is known of them (json)."""
    draw = asked.draw(STUDY.datasets[dataset].content, int(seed))
    return f"results/datasets/{dataset}/{draw}.{suffix}"


def model_files(wildcards):
    """The user's files that the model of a recipe is built from."""
    return given(definition_files.files(STUDY.recipes[wildcards.recipe]))


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


def tuning_data(dataset, recipe, suffix="npz"):
    """The data of every tuning seed of a recipe: one file, or one per seed where each draws its own."""
    seeds = STUDY.recipes[recipe].value.tuning.seeds
    return list(dict.fromkeys(dataset_file(dataset, seed, suffix) for seed in seeds))


def tuning_files(name, dataset, recipe, batch_size, **rest):
    """One file of the tuning that a run's learning rate comes from; none where the rate is not tuned."""
    tuned = STUDY.recipes[recipe].value.tuning is not None
    return (
        [f"results/tunings/{dataset}/{recipe}/bs{batch_size}/{name}"] if tuned else []
    )


def all_tuning_files(name):
    """One file of every tuning of the study."""
    return [file for cell in STUDY.tunings for file in tuning_files(name, **vars(cell))]


def probe_files(name, probe):
    """One file of every job of a probe of the study."""
    folder = f"results/{STUDY.name}/probes/{probe.name}"
    if probe.looks_at == "cells":
        jobs = [
            f"{cell.dataset}/{cell.recipe}/bs{cell.batch_size}"
            for cell in STUDY.probed_cells(probe.name)
        ]
    else:
        jobs = [
            f"{run.dataset}/{run.recipe}/bs{run.batch_size}/seed{run.seed}"
            for run in STUDY.probed_runs(probe.name)
        ]
    return [f"{folder}/{job}/{name}" for job in jobs]


# By the kind of job, how the names of the rules begin that make it again.
JOB_RULES = {
    "run": ("train", "tune_cell"),
    "timing": ("time_cell",),
    "tuning": ("tune_cell",),
    "probe": ("probe_",),
}


def probe_records():
    """The files that the jobs of all probes of the study write, by table; none of a probe that it does not have."""
    return {
        table: probe_files(f"{table}.parquet", probe) if probe in PROBED else []
        for probe in PROBES.values()
        for table in probe.records
    }


def manifests():
    """The manifests of all jobs of the study, by kind."""
    return {
        "run": run_files("manifest.json"),
        "timing": timing_files("manifest.json"),
        "tuning": all_tuning_files("manifest.json"),
        "probe": all_probe_files("manifest.json"),
    }


def refuse_what_stays_stale():
    """Refuse results of something else that Snakemake is not going to make again, once its settings are known."""
    forced = [str(target) for target in workflow.dag_settings.forcerun]
    blind = workflow.touch or RerunTrigger.PARAMS not in workflow.rerun_triggers
    stale = [
        file
        for rules_of_kind, file in STALE
        if not any(target.startswith(rules_of_kind) for target in forced)
        and (blind or workflow.persistence.params(IOFile(str(file))) is None)
    ]
    if stale and not workflow.dag_settings.forceall:
        sys.exit(provenance.refusal(stale))


def run_manifests(wildcards):
    """The manifests of the runs, for the tables."""
    refuse_what_stays_stale()
    return run_files("manifest.json")


def all_probe_files(name):
    """One file of every job of every probe of the study."""
    return [file for probe in PROBED for file in probe_files(name, probe)]


def data_facts():
    """What is known of every data set of the study, draw by draw."""
    of_runs = [dataset_file(run.dataset, run.seed, "json") for run in STUDY.runs]
    of_tunings = [
        tuning_data(cell.dataset, cell.recipe, "json") for cell in STUDY.tunings
    ]
    return list(dict.fromkeys(sum(of_tunings, of_runs)))


MANIFESTS = manifests()
if workflow.is_main_process:
    # These are read before any job runs; a job whose manifest is gone runs again.
    whole = [
        *data_facts(),
        *chain(*MANIFESTS.values()),
        *(f"results/{STUDY.name}/{name}" for name in ("manifest.json", "report.html")),
    ]
    with in_one_sentence():
        for file, aside in provenance.set_damaged_aside(
            PREFIX / name for name in whole
        ):
            logger.warning(
                f"{file} is not as its job wrote it; it is now {aside} and is made again."
            )


# A large file that only looks newer is no reason to train again: it is ancient, and the small file beside it tells of it.
# A file that looks older may hold something else; for tables, figures and report this token changes then.
with in_one_sentence():
    TOKEN = provenance.token(
        PREFIX / f"results/{STUDY.name}/tables/made_from.json",
        [PREFIX / file for file in chain(*MANIFESTS.values())],
    )


def find_stale():
    """What is there of something else than the study asks for: rules that make it again, and the file."""
    for kind, files in MANIFESTS.items():
        for file in provenance.others(ASKED, {kind: [PREFIX / name for name in files]}):
            yield ("make_dataset", *JOB_RULES[kind]), file
    for name, rule in (
        ("tables/made_from.json", "tabulate"),
        ("manifest.json", "describe"),
    ):
        file = PREFIX / f"results/{STUDY.name}/{name}"
        if file.is_file() and provenance.made_for(file) != MADE_FOR:
            yield ("make_dataset", *chain(*JOB_RULES.values()), rule), file


with in_one_sentence():
    STALE = list(find_stale()) if workflow.is_main_process else []


def table_files(suffix):
    """The study's tables; for a rule, so with its wildcard."""
    return [f"results/{{study}}/tables/{table}.{suffix}" for table in STUDY_TABLES]


if (
    workflow.remote_exec
):  # this is a job of a cluster, whose memory is what was asked for
    os.environ.update(BATCHSCOPE_ON_CLUSTER="1")

# Jobs on this machine start from processes that live as long as this one; the jobs of a cluster are elsewhere.
if workflow.remote_exec or workflow.non_local_exec or not STUDY.settings.warm_starts:
    os.environ.pop(warm.WORKFLOW, None)
elif workflow.is_main_process:
    os.environ[warm.WORKFLOW] = str(os.getpid())


wildcard_constraints:
    study=any_of([STUDY.name]),
    dataset=any_of(folder(dataset) for dataset, _ in STUDY.pairs),
    recipe=any_of(folder(recipe) for _, recipe in STUDY.pairs),
    batch_size=r"\d+|full",
    seed=r"\d+",
    draw=r"fixed|seed\d+",
