# Data sets: read, checked, split, scaled and written once, before any job trains on them.
rule make_dataset:
    input:
        ancient(
            lambda wildcards: given(
                definition_files.files(STUDY.datasets[wildcards.dataset])
            )
        ),
    output:
        data="results/datasets/{dataset}/{draw}.npz",
        facts="results/datasets/{dataset}/{draw}.json",
    log:
        "logs/make_dataset/{dataset}/{draw}.log",
    conda:
        f"../envs/{ENVIRONMENT}.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        ask=lambda wildcards: ASKED.dataset(wildcards.dataset, wildcards.draw),
    message:
        "Data set {wildcards.dataset} ({wildcards.draw})"
    script:
        "../scripts/make_dataset.py"
