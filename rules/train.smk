# One job per run and per tuning, many side by side; one job per timing, each with the machine to itself.
TRAINING_CODE = (
    "engines/*.py",
    "training.py",
    "models.py",
    "recipes.py",
    "functions.py",
    "job.py",
    "jobs.py",
    "memory.py",
    "columns.py",
    "records.py",
    "snapshots.py",
    "datasets/__init__.py",
    "telemetry/*.py",
)
SETTINGS = {key: STUDY.settings[key] for key in ("engine", "loop", "device", "threads")}
INTERVAL = {
    "telemetry_interval_seconds": STUDY.settings["telemetry"]["interval_seconds"]
}


rule tune_cell:
    input:
        data=lambda wildcards: tuning_data(wildcards.dataset, wildcards.recipe),
        model=lambda wildcards: given(
            studies.recipe_files(STUDY.recipes[wildcards.recipe])
        ),
    output:
        trials="results/tunings/{dataset}/{recipe}/bs{batch_size}/trials.parquet",
        manifest="results/tunings/{dataset}/{recipe}/bs{batch_size}/manifest.json",
    log:
        "logs/tune_cell/{dataset}/{recipe}/bs{batch_size}.log",
    conda:
        "../envs/train.yaml"
    threads: STUDY.settings["threads"]
    resources:
        mem_mb=4000,
        runtime=720,
        gpu=1 if STUDY.settings["device"] == "gpu" else 0,
    params:
        recipe=lambda wildcards: STUDY.recipes[wildcards.recipe],
        cell=lambda wildcards: dict(wildcards.items()),
        settings=SETTINGS,
        code=code(*TRAINING_CODE, "tuning.py"),
        software=code("train.yaml", root=ROOT / "envs"),
    message:
        "Tuning the learning rate of {wildcards.dataset} with {wildcards.recipe}, batch size {wildcards.batch_size}"
    script:
        "../scripts/tune_cell.py"


rule train:
    input:
        data=lambda wildcards: dataset_file(wildcards.dataset, int(wildcards.seed)),
        model=lambda wildcards: given(
            studies.recipe_files(STUDY.recipes[wildcards.recipe])
        ),
        trials=lambda wildcards: tuning_files("trials.parquet", **wildcards),
    output:
        run="results/runs/{dataset}/{recipe}/bs{batch_size}/seed{seed}/run.parquet",
        steps="results/runs/{dataset}/{recipe}/bs{batch_size}/seed{seed}/steps.parquet",
        evaluations="results/runs/{dataset}/{recipe}/bs{batch_size}/seed{seed}/evaluations.parquet",
        telemetry="results/runs/{dataset}/{recipe}/bs{batch_size}/seed{seed}/telemetry.parquet",
        weights="results/runs/{dataset}/{recipe}/bs{batch_size}/seed{seed}/weights.npz",
        manifest="results/runs/{dataset}/{recipe}/bs{batch_size}/seed{seed}/manifest.json",
    log:
        "logs/train/{dataset}/{recipe}/bs{batch_size}/seed{seed}.log",
    conda:
        "../envs/train.yaml"
    threads: STUDY.settings["threads"]
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=1 if STUDY.settings["device"] == "gpu" else 0,
    params:
        recipe=lambda wildcards: STUDY.recipes[wildcards.recipe],
        run=lambda wildcards: {
            "dataset": wildcards.dataset,
            "recipe": wildcards.recipe,
            "batch_size": wildcards.batch_size,
            "seed": int(wildcards.seed),
        },
        settings={
            **SETTINGS,
            **INTERVAL,
            "step_records": STUDY.settings["step_records"],
        },
        code=code(*TRAINING_CODE),
        software=code("train.yaml", root=ROOT / "envs"),
    message:
        "Training {wildcards.dataset} with {wildcards.recipe}, batch size {wildcards.batch_size}, seed {wildcards.seed}"
    script:
        "../scripts/train.py"


rule time_cell:
    input:
        # Time does not depend on the draw, so a set that is drawn anew per run is timed on its first draw.
        data=lambda wildcards: dataset_file(wildcards.dataset, STUDY.seeds[0]),
        model=lambda wildcards: given(
            studies.recipe_files(STUDY.recipes[wildcards.recipe])
        ),
    output:
        timing="results/timings/{dataset}/{recipe}/bs{batch_size}/timing.parquet",
        windows="results/timings/{dataset}/{recipe}/bs{batch_size}/windows.parquet",
        telemetry="results/timings/{dataset}/{recipe}/bs{batch_size}/telemetry.parquet",
        manifest="results/timings/{dataset}/{recipe}/bs{batch_size}/manifest.json",
    log:
        "logs/time_cell/{dataset}/{recipe}/bs{batch_size}.log",
    # Before the runs and in random order, so that no drift of the machine passes for an effect of the batch size.
    priority: lambda wildcards: 1 + recipes.random_rank("/".join(wildcards))
    conda:
        "../envs/train.yaml"
    # All cores are reserved so that nothing else runs; the training itself uses the threads of SETTINGS.
    threads: all_cores
    resources:
        mem_mb=4000,
        runtime=60,
        gpu=1 if STUDY.settings["device"] == "gpu" else 0,
    params:
        recipe=lambda wildcards: STUDY.recipes[wildcards.recipe],
        cell=lambda wildcards: dict(wildcards.items()),
        settings={**SETTINGS, **INTERVAL, **STUDY.settings["timing"]},
        code=code(*TRAINING_CODE, "probes/timing.py"),
        software=code("train.yaml", root=ROOT / "envs"),
    message:
        "Timing {wildcards.dataset} with {wildcards.recipe}, batch size {wildcards.batch_size}, alone on the machine"
    script:
        "../scripts/time_cell.py"
