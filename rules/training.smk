# Training: a stack of seeds a job; goes on from its restart file after any interruption.
rule training:
    input:
        lambda wanted: plan.studies[wanted.study].job("training", wanted.name).files,
    output:
        f"{RESULTS}/{{study}}/training/{{name}}.parameters.parquet",
        f"{RESULTS}/{{study}}/training/{{name}}.log.parquet",
    log:
        f"{RESULTS}/{{study}}/logs/training/{{name}}.log",
    priority: 1  # the longest jobs first: what depends on them packs well behind them
    conda:
        "../envs/agentomy.yaml"
    threads: 1
    resources:
        mem_mb=resource("training", "mem_mb"),
        runtime=resource("training", "runtime"),
        gpu=resource("training", "gpu"),
    params:
        job=lambda wanted: plan.studies[wanted.study]
        .job("training", wanted.name)
        .text(),
        digest=lambda wanted: plan.studies[wanted.study]
        .job("training", wanted.name)
        .digest(),
    message:
        "{wildcards.study}: training {wildcards.name}"
    shell:
        "python -m agentomy.job {wildcards.study:q} training {wildcards.name:q} {log:q} {params.digest:q}"
