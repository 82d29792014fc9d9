# Probes: measurements that explain what the runs show. They belong to a study, whose key `probes` says what is looked at.
RUN_FOLDER = "results/runs/{dataset}/{recipe}/bs{batch_size}/seed{seed}"


def probe_inputs(probe):
    """What the jobs of a probe read: the data, the user's model and, for a probe of weights, the run that kept them."""

    def seed(wildcards):
        return wildcards.get("seed", STUDY.file.seeds[0])

    inputs = {
        "data": ancient(
            lambda wildcards: dataset_file(wildcards.dataset, seed(wildcards))
        ),
        "facts": lambda wildcards: dataset_file(
            wildcards.dataset, seed(wildcards), "json"
        ),
        "model": ancient(model_files),
    }
    if probe.looks_at == "weights":
        inputs |= {
            "run": f"{RUN_FOLDER}/run.parquet",
            "run_manifest": f"{RUN_FOLDER}/manifest.json",
            "weights": ancient(f"{RUN_FOLDER}/weights.npz"),
        }
    return inputs


def probe_ask(probe):
    """What the study asks of a job of a probe."""

    def ask(wildcards):
        seed = [int(wildcards.seed)] if "seed" in wildcards.keys() else []
        cell = wildcards.dataset, wildcards.recipe, wildcards.batch_size
        return ASKED.probe(probe.name, *cell, *seed)

    return ask


def probe_place(probe):
    """Data set, recipe, batch size and, but for a probe of cells, seed, as they stand in paths."""
    cell = "{dataset}/{recipe}/bs{batch_size}"
    return cell if probe.looks_at == "cells" else f"{cell}/seed{{seed}}"


def probe_message(probe):
    """What a job says when it starts."""
    cell = (
        "{wildcards.dataset} with {wildcards.recipe}, batch size {wildcards.batch_size}"
    )
    alone = probe.looks_at == "cells"
    return f"{probe.title} of {cell}, " + (
        "alone on the machine" if alone else "seed {wildcards.seed}"
    )


for PROBE in PROBED:

    rule:
        name:
            f"probe_{PROBE.name}"
        input:
            **probe_inputs(PROBE),
        output:
            **{
                table: f"results/{{study}}/probes/{PROBE.name}/{probe_place(PROBE)}/{table}.parquet"
                for table in PROBE.records
            },
            manifest=f"results/{{study}}/probes/{PROBE.name}/{probe_place(PROBE)}/manifest.json",
        log:
            f"logs/probe_{PROBE.name}/{{study}}/{probe_place(PROBE)}.log",
        # As in time_cell: what is timed comes before the runs, in random order, with every core, so that nothing else runs.
        priority:
            (lambda wildcards: 1 + recipes.random_rank("/".join(wildcards)))
            if PROBE.looks_at == "cells"
            else 0
        conda:
            f"../envs/{ENVIRONMENT}.yaml"
        threads: all_cores if PROBE.looks_at == "cells" else STUDY.settings.threads
        resources:
            mem_mb=4000,
            runtime=PROBE.minutes,
            gpu=1 if STUDY.settings.device == "gpu" else 0,
            attempt=lambda wildcards, attempt: attempt,
        params:
            ask=probe_ask(PROBE),
        message:
            probe_message(PROBE)
        script:
            "../scripts/probe.py"
