# Training: one job for each stack of seeds; after an interruption it goes on from its restart file.
rule training:
    input:
        needed("training"),
    output:
        f"{RESULTS}/{{study}}/training/{{name}}.parameters.parquet",
        f"{RESULTS}/{{study}}/training/{{name}}.log.parquet",
        record_of("training"),
    log:
        f"{RESULTS}/{{study}}/logs/training/{{name}}.log",
    priority: priority("training")
    conda:
        "../envs/agentomy.yaml"
    threads: 1
    resources:
        mem_mb=resource("training", "mem_mb"),
        runtime=resource("training", "runtime"),
        gpu=resource("training", "gpu"),
    params:
        digest=digest("training"),
    message:
        "{wildcards.study}: training {wildcards.name}"
    shell:
        "python -m agentomy.pipeline.run.job {wildcards.study:q} training {wildcards.name:q} {log:q} {params.digest:q}"
