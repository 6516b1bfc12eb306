# Checkpoint extraction: what networks do and hold at their snapshots; a job is ENTRY/RUN.seedsA-B, one stack of one run.
rule checkpoint:
    input:
        lambda wanted: plan.studies[wanted.study].job("checkpoints", wanted.name).files,
    output:
        f"{RESULTS}/{{study}}/checkpoints/{{name}}.parquet",
    wildcard_constraints:
        name="[^/]+/[^/]+",
    log:
        f"{RESULTS}/{{study}}/logs/checkpoints/{{name}}.log",
    benchmark:
        f"{RESULTS}/{{study}}/benchmarks/checkpoints/{{name}}.tsv"
    conda:
        "../envs/agentomy.yaml"
    threads: 1
    resources:
        mem_mb=resource("checkpoints", "mem_mb"),
        runtime=resource("checkpoints", "runtime"),
        gpu=resource("checkpoints", "gpu"),
    params:
        job=lambda wanted: plan.studies[wanted.study]
        .job("checkpoints", wanted.name)
        .text(),
        digest=lambda wanted: plan.studies[wanted.study]
        .job("checkpoints", wanted.name)
        .digest(),
    message:
        "{wildcards.study}: checkpoints {wildcards.name}"
    shell:
        "python -m agentomy.stages {wildcards.study} checkpoints {wildcards.name} {log} {params.digest}"
