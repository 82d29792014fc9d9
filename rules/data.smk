# Data sets: read, checked, split, scaled and written once, before any job trains on them.
rule make_dataset:
    input:
        lambda wildcards: given(
            studies.dataset_files(STUDY.datasets[wildcards.dataset])
        ),
    output:
        "results/datasets/{dataset}/{draw}.npz",
    log:
        "logs/make_dataset/{dataset}/{draw}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        dataset=lambda wildcards: STUDY.datasets[wildcards.dataset],
        code=code("datasets/*.py", "splits.py", "functions.py"),
    message:
        "Data set {wildcards.dataset} ({wildcards.draw})"
    script:
        "../scripts/make_dataset.py"
