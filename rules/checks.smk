# What is checked, told and refused before the first job.
import importlib.util

from batchscope.data import facts, own as own_data


def check_data():
    """Refuse data that cannot be used, and sizes that they have not, before any job starts."""
    for name, dataset in STUDY.datasets.items():
        seed = next(run.seed for run in STUDY.runs if run.dataset == name)
        made = PREFIX / dataset_file(name, seed, "json")
        ask = ASKED.dataset(name, asked.draw(dataset.content, seed))
        if facts.is_made(made, ask):
            studies.check_sizes(STUDY, name, facts.known(made)["n_train"])
        else:
            own_data.check(ask)


def announce():
    """Say which runs that are there were made from something else than the study asks now."""
    for dataset, recipe in dict.fromkeys(
        (run.dataset, run.recipe) for run in STUDY.runs
    ):
        said = provenance.replaced(PREFIX / "results/runs" / dataset / recipe, ASKED)
        if said is not None:
            logger.warning(said)


def warn_of_unused_gpu():
    """Say so before the first job where `device: auto` is going to leave a GPU of this machine unused."""
    if STUDY.settings.device == "auto" and machine.has_nvidia_driver():
        # All of CUDA's packages lie in one folder of this name.
        if importlib.util.find_spec("nvidia") is None:
            logger.warning(
                "this machine has a GPU, and this environment lacks CUDA's libraries: all runs on the CPU. To use the GPU: "
                "make report DEVICE=gpu (or, with conda, --config device=gpu)."
            )


def refuse_missing_gpu():
    """Refuse `device: gpu` where no job can have one, before outputs of the first job are removed."""
    here = machine.may_have_gpu() or workflow.non_local_exec
    if STUDY.settings.device == "gpu" and not here:
        sys.exit(
            "device is gpu, and no driver shows an NVIDIA GPU on this machine; valid is auto or cpu"
        )


def have_own_pythons():
    """Whether jobs have another Python than Snakemake, as with conda."""
    return "conda" in map(str, workflow.deployment_settings.deployment_method)


def refuse_missing_engine():
    """Refuse an engine whose framework no job could import."""
    if not have_own_pythons() and importlib.util.find_spec(ENGINE.packages[0]) is None:
        name = STUDY.settings.engine
        sys.exit(
            f"engine is {name}, and {ENGINE.packages[0]} is not installed here; valid is another engine, or "
            f"`make report ENGINE={name}`, which installs it"
        )


def settle_stamps():
    """Let no job read a file of the future."""
    due = {Path(file) for job in workflow.dag.needrun_jobs() for file in job.input}
    with in_one_sentence():
        stamps.settle(sorted(due), PREFIX / "results")


def keep_source_code():
    """Let the next start parse no source that this one has parsed."""
    try:
        source_code.keep(READ)
    except OSError as error:
        logger.warning(
            f"{READ} cannot be written ({error.strerror}), so the next start takes 0.4 s longer."
        )


def start_analysis_early():
    """Import what tables, figures and report need while their first job starts, where nothing else is due."""
    place = PREFIX / "results" / STUDY.name
    due = {Path(file) for job in workflow.dag.needrun_jobs() for file in job.output}
    others = [
        file
        for file in due
        if file.is_relative_to(place / "probes") or not file.is_relative_to(place)
    ]
    if not others and not have_own_pythons():
        warm.prepare(warm.ANALYSIS)


if workflow.is_main_process:
    warn_of_unused_gpu()
    with in_one_sentence():
        check_data()
        announce()
        if STUDY.file.measurements is not None:
            for sentence in filter(
                None, (STUDY.measured.left_out, *STUDY.measured.alike)
            ):
                logger.warning(sentence)


onstart:
    refuse_missing_gpu()
    refuse_missing_engine()
    settle_stamps()
    keep_source_code()
    start_analysis_early()
    # A job that dies of memory is tried again, with more of it, as often as this; only the last attempt is an outcome.
    os.environ.update(BATCHSCOPE_RETRIES=str(workflow.execution_settings.retries))
