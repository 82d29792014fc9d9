# Probes: measurements that explain what the runs show. They belong to a study, whose key `probes` says what is looked at.
PROBE_CODE = code(*TRAINING_CODE, "probe_jobs.py", "probes/*.py")
RUN_FOLDER = "results/runs/{dataset}/{recipe}/bs{batch_size}/seed{seed}"


rule probe_gradients:
    input:
        data=lambda wildcards: dataset_file(wildcards.dataset, int(wildcards.seed)),
        model=lambda wildcards: given(
            studies.recipe_files(STUDY.recipes[wildcards.recipe])
        ),
        run=f"{RUN_FOLDER}/run.parquet",
        weights=f"{RUN_FOLDER}/weights.npz",
    output:
        gradients="results/{study}/probes/gradients/{dataset}/{recipe}/bs{batch_size}/seed{seed}/gradients.parquet",
        noise_scale="results/{study}/probes/gradients/{dataset}/{recipe}/bs{batch_size}/seed{seed}/noise_scale.parquet",
        manifest="results/{study}/probes/gradients/{dataset}/{recipe}/bs{batch_size}/seed{seed}/manifest.json",
    log:
        "logs/probe_gradients/{study}/{dataset}/{recipe}/bs{batch_size}/seed{seed}.log",
    conda:
        "../envs/train.yaml"
    threads: STUDY.settings["threads"]
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=1 if STUDY.settings["device"] == "gpu" else 0,
    params:
        **probe_params("gradients"),
    message:
        "Gradients of {wildcards.dataset} with {wildcards.recipe}, batch size {wildcards.batch_size}, seed {wildcards.seed}"
    script:
        "../scripts/probe.py"


use rule probe_gradients as probe_sharpness with:
    output:
        sharpness="results/{study}/probes/sharpness/{dataset}/{recipe}/bs{batch_size}/seed{seed}/sharpness.parquet",
        slices="results/{study}/probes/sharpness/{dataset}/{recipe}/bs{batch_size}/seed{seed}/slices.parquet",
        manifest="results/{study}/probes/sharpness/{dataset}/{recipe}/bs{batch_size}/seed{seed}/manifest.json",
    log:
        "logs/probe_sharpness/{study}/{dataset}/{recipe}/bs{batch_size}/seed{seed}.log",
    params:
        **probe_params("sharpness"),
    message:
        "Sharpness of {wildcards.dataset} with {wildcards.recipe}, batch size {wildcards.batch_size}, seed {wildcards.seed}"


use rule probe_gradients as probe_modes with:
    output:
        modes="results/{study}/probes/modes/{dataset}/{recipe}/bs{batch_size}/seed{seed}/modes.parquet",
        manifest="results/{study}/probes/modes/{dataset}/{recipe}/bs{batch_size}/seed{seed}/manifest.json",
    log:
        "logs/probe_modes/{study}/{dataset}/{recipe}/bs{batch_size}/seed{seed}.log",
    params:
        **probe_params("modes"),
    message:
        "Evaluation modes of {wildcards.dataset} with {wildcards.recipe}, batch size {wildcards.batch_size}, seed {wildcards.seed}"


use rule probe_gradients as probe_rates with:
    input:
        data=lambda wildcards: dataset_file(wildcards.dataset, int(wildcards.seed)),
        model=lambda wildcards: given(
            studies.recipe_files(STUDY.recipes[wildcards.recipe])
        ),
    output:
        rate_ranges="results/{study}/probes/rates/{dataset}/{recipe}/bs{batch_size}/seed{seed}/rate_ranges.parquet",
        rate_curves="results/{study}/probes/rates/{dataset}/{recipe}/bs{batch_size}/seed{seed}/rate_curves.parquet",
        manifest="results/{study}/probes/rates/{dataset}/{recipe}/bs{batch_size}/seed{seed}/manifest.json",
    log:
        "logs/probe_rates/{study}/{dataset}/{recipe}/bs{batch_size}/seed{seed}.log",
    params:
        **probe_params("rates"),
    message:
        "Range of rates of {wildcards.dataset} with {wildcards.recipe}, batch size {wildcards.batch_size}, seed {wildcards.seed}"


use rule probe_rates as probe_accumulation with:
    output:
        accumulation="results/{study}/probes/accumulation/{dataset}/{recipe}/bs{batch_size}/seed{seed}/accumulation.parquet",
        manifest="results/{study}/probes/accumulation/{dataset}/{recipe}/bs{batch_size}/seed{seed}/manifest.json",
    log:
        "logs/probe_accumulation/{study}/{dataset}/{recipe}/bs{batch_size}/seed{seed}.log",
    params:
        **probe_params("accumulation"),
    message:
        "Accumulation of {wildcards.dataset} with {wildcards.recipe}, batch size {wildcards.batch_size}, seed {wildcards.seed}"


rule probe_overheads:
    input:
        data=lambda wildcards: dataset_file(wildcards.dataset, STUDY.seeds[0]),
        model=lambda wildcards: given(
            studies.recipe_files(STUDY.recipes[wildcards.recipe])
        ),
    output:
        loop_windows="results/{study}/probes/overheads/{dataset}/{recipe}/bs{batch_size}/loop_windows.parquet",
        manifest="results/{study}/probes/overheads/{dataset}/{recipe}/bs{batch_size}/manifest.json",
    log:
        "logs/probe_overheads/{study}/{dataset}/{recipe}/bs{batch_size}.log",
    # As in time_cell: before the runs, in random order, and with every core, so that nothing else runs.
    priority: lambda wildcards: 1 + recipes.random_rank("/".join(wildcards))
    conda:
        "../envs/train.yaml"
    threads: all_cores
    resources:
        mem_mb=4000,
        runtime=60,
        gpu=1 if STUDY.settings["device"] == "gpu" else 0,
    params:
        **probe_params("overheads"),
    message:
        "Overheads of {wildcards.dataset} with {wildcards.recipe}, batch size {wildcards.batch_size}, alone on the machine"
    script:
        "../scripts/probe.py"
