# Probes: measurements that explain what the runs show. They belong to a study, whose key `probes` says what is looked at.
RUN_FOLDER = "results/runs/{dataset}/{recipe}/bs{batch_size}/seed{seed}"


rule probe_gradients:
    input:
        data=ancient(lambda wildcards: dataset_file(wildcards.dataset, wildcards.seed)),
        facts=lambda wildcards: dataset_file(wildcards.dataset, wildcards.seed, "json"),
        model=ancient(model_files),
        run=f"{RUN_FOLDER}/run.parquet",
        run_manifest=f"{RUN_FOLDER}/manifest.json",
        weights=ancient(f"{RUN_FOLDER}/weights.npz"),
    output:
        gradients="results/{study}/probes/gradients/{dataset}/{recipe}/bs{batch_size}/seed{seed}/gradients.parquet",
        noise_scale="results/{study}/probes/gradients/{dataset}/{recipe}/bs{batch_size}/seed{seed}/noise_scale.parquet",
        manifest="results/{study}/probes/gradients/{dataset}/{recipe}/bs{batch_size}/seed{seed}/manifest.json",
    log:
        "logs/probe_gradients/{study}/{dataset}/{recipe}/bs{batch_size}/seed{seed}.log",
    conda:
        f"../envs/{ENVIRONMENT}.yaml"
    threads: STUDY.settings["threads"]
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=1 if STUDY.settings["device"] == "gpu" else 0,
        attempt=lambda wildcards, attempt: attempt,
    params:
        ask=lambda wildcards: ASKED.probe(
            "gradients",
            wildcards.dataset,
            wildcards.recipe,
            wildcards.batch_size,
            int(wildcards.seed),
        ),
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
        ask=lambda wildcards: ASKED.probe(
            "sharpness",
            wildcards.dataset,
            wildcards.recipe,
            wildcards.batch_size,
            int(wildcards.seed),
        ),
    message:
        "Sharpness of {wildcards.dataset} with {wildcards.recipe}, batch size {wildcards.batch_size}, seed {wildcards.seed}"


use rule probe_gradients as probe_modes with:
    output:
        modes="results/{study}/probes/modes/{dataset}/{recipe}/bs{batch_size}/seed{seed}/modes.parquet",
        manifest="results/{study}/probes/modes/{dataset}/{recipe}/bs{batch_size}/seed{seed}/manifest.json",
    log:
        "logs/probe_modes/{study}/{dataset}/{recipe}/bs{batch_size}/seed{seed}.log",
    params:
        ask=lambda wildcards: ASKED.probe(
            "modes",
            wildcards.dataset,
            wildcards.recipe,
            wildcards.batch_size,
            int(wildcards.seed),
        ),
    message:
        "Evaluation modes of {wildcards.dataset} with {wildcards.recipe}, batch size {wildcards.batch_size}, seed {wildcards.seed}"


use rule probe_gradients as probe_rates with:
    input:
        data=ancient(lambda wildcards: dataset_file(wildcards.dataset, wildcards.seed)),
        facts=lambda wildcards: dataset_file(wildcards.dataset, wildcards.seed, "json"),
        model=ancient(model_files),
    output:
        rate_ranges="results/{study}/probes/rates/{dataset}/{recipe}/bs{batch_size}/seed{seed}/rate_ranges.parquet",
        rate_curves="results/{study}/probes/rates/{dataset}/{recipe}/bs{batch_size}/seed{seed}/rate_curves.parquet",
        manifest="results/{study}/probes/rates/{dataset}/{recipe}/bs{batch_size}/seed{seed}/manifest.json",
    log:
        "logs/probe_rates/{study}/{dataset}/{recipe}/bs{batch_size}/seed{seed}.log",
    params:
        ask=lambda wildcards: ASKED.probe(
            "rates",
            wildcards.dataset,
            wildcards.recipe,
            wildcards.batch_size,
            int(wildcards.seed),
        ),
    message:
        "Range of rates of {wildcards.dataset} with {wildcards.recipe}, batch size {wildcards.batch_size}, seed {wildcards.seed}"


use rule probe_rates as probe_accumulation with:
    output:
        accumulation="results/{study}/probes/accumulation/{dataset}/{recipe}/bs{batch_size}/seed{seed}/accumulation.parquet",
        manifest="results/{study}/probes/accumulation/{dataset}/{recipe}/bs{batch_size}/seed{seed}/manifest.json",
    log:
        "logs/probe_accumulation/{study}/{dataset}/{recipe}/bs{batch_size}/seed{seed}.log",
    params:
        ask=lambda wildcards: ASKED.probe(
            "accumulation",
            wildcards.dataset,
            wildcards.recipe,
            wildcards.batch_size,
            int(wildcards.seed),
        ),
    message:
        "Accumulation of {wildcards.dataset} with {wildcards.recipe}, batch size {wildcards.batch_size}, seed {wildcards.seed}"


rule probe_overheads:
    input:
        data=ancient(lambda wildcards: dataset_file(wildcards.dataset, STUDY.seeds[0])),
        facts=lambda wildcards: dataset_file(wildcards.dataset, STUDY.seeds[0], "json"),
        model=ancient(model_files),
    output:
        loop_windows="results/{study}/probes/overheads/{dataset}/{recipe}/bs{batch_size}/loop_windows.parquet",
        manifest="results/{study}/probes/overheads/{dataset}/{recipe}/bs{batch_size}/manifest.json",
    log:
        "logs/probe_overheads/{study}/{dataset}/{recipe}/bs{batch_size}.log",
    # As in time_cell: before the runs, in random order, and with every core, so that nothing else runs.
    priority: lambda wildcards: 1 + recipes.random_rank("/".join(wildcards))
    conda:
        f"../envs/{ENVIRONMENT}.yaml"
    threads: all_cores
    resources:
        mem_mb=4000,
        runtime=60,
        gpu=1 if STUDY.settings["device"] == "gpu" else 0,
        attempt=lambda wildcards, attempt: attempt,
    params:
        ask=lambda wildcards: ASKED.probe(
            "overheads", wildcards.dataset, wildcards.recipe, wildcards.batch_size
        ),
    message:
        "Overheads of {wildcards.dataset} with {wildcards.recipe}, batch size {wildcards.batch_size}, alone on the machine"
    script:
        "../scripts/probe.py"
