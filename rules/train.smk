# One job per run and per tuning, many side by side; one job per timing, each with the machine to itself.
rule tune_cell:
    input:
        data=ancient(lambda wildcards: tuning_data(wildcards.dataset, wildcards.recipe)),
        facts=lambda wildcards: tuning_data(wildcards.dataset, wildcards.recipe, "json"),
        model=ancient(model_files),
    output:
        trials="results/tunings/{dataset}/{recipe}/bs{batch_size}/trials.parquet",
        manifest="results/tunings/{dataset}/{recipe}/bs{batch_size}/manifest.json",
    log:
        "logs/tune_cell/{dataset}/{recipe}/bs{batch_size}.log",
    # Before the runs: it takes longest, and the runs at its rate wait for it.
    priority: 1
    conda:
        f"../envs/{ENVIRONMENT}.yaml"
    threads: STUDY.settings.threads
    resources:
        mem_mb=4000,
        runtime=720,
        gpu=1 if STUDY.settings.device == "gpu" else 0,
        attempt=lambda wildcards, attempt: attempt,
    params:
        ask=lambda wildcards: ASKED.tuning(**wildcards),
    message:
        "Tuning the learning rate of {wildcards.dataset} with {wildcards.recipe}, batch size {wildcards.batch_size}"
    script:
        "../scripts/tune_cell.py"


rule train:
    input:
        data=ancient(lambda wildcards: dataset_file(wildcards.dataset, wildcards.seed)),
        facts=lambda wildcards: dataset_file(wildcards.dataset, wildcards.seed, "json"),
        model=ancient(model_files),
        trials=lambda wildcards: tuning_files("trials.parquet", **wildcards),
        tuning_manifest=lambda wildcards: tuning_files("manifest.json", **wildcards),
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
        f"../envs/{ENVIRONMENT}.yaml"
    threads: STUDY.settings.threads
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=1 if STUDY.settings.device == "gpu" else 0,
        attempt=lambda wildcards, attempt: attempt,
    params:
        ask=lambda wildcards: ASKED.run(
            wildcards.dataset,
            wildcards.recipe,
            wildcards.batch_size,
            int(wildcards.seed),
        ),
    message:
        "Training {wildcards.dataset} with {wildcards.recipe}, batch size {wildcards.batch_size}, seed {wildcards.seed}"
    script:
        "../scripts/train.py"


rule time_cell:
    input:
        # Time does not depend on the draw, so a set that is drawn anew per run is timed on its first draw.
        data=ancient(
            lambda wildcards: dataset_file(wildcards.dataset, STUDY.file.seeds[0])
        ),
        facts=lambda wildcards: dataset_file(
            wildcards.dataset, STUDY.file.seeds[0], "json"
        ),
        model=ancient(model_files),
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
        f"../envs/{ENVIRONMENT}.yaml"
    # All cores are reserved so that nothing else runs; the training itself uses the threads of the settings.
    threads: all_cores
    resources:
        mem_mb=4000,
        runtime=60,
        gpu=1 if STUDY.settings.device == "gpu" else 0,
        attempt=lambda wildcards, attempt: attempt,
    params:
        ask=lambda wildcards: ASKED.timing(**wildcards),
    message:
        "Timing {wildcards.dataset} with {wildcards.recipe}, batch size {wildcards.batch_size}, alone on the machine"
    script:
        "../scripts/time_cell.py"
