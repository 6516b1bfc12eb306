# Checkpoint extraction: what networks do and hold at their snapshots.
rule checkpoint:
    input:
        lambda wanted: plan.studies[wanted.study].job("checkpoints", wanted.name).files,
    output:
        f"{RESULTS}/{{study}}/checkpoints/{{name}}.parquet",
    log:
        f"{RESULTS}/{{study}}/logs/checkpoints/{{name}}.log",
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
        "python -m agentomy.job {wildcards.study:q} checkpoints {wildcards.name:q} {log:q} {params.digest:q}"
