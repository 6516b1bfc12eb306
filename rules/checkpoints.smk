# Checkpoint extraction: what networks do and contain at their snapshots. A job is one stack of one run, ENTRY/RUN.seedsA-B.
rule checkpoint:
    input:
        needed("checkpoints"),
    output:
        f"{RESULTS}/{{study}}/checkpoints/{{entry}}/{{stack}}.parquet",
        record_of("checkpoints"),
    log:
        f"{RESULTS}/{{study}}/logs/checkpoints/{{entry}}/{{stack}}.log",
    priority: priority("checkpoints")
    conda:
        "../envs/agentomy.yaml"
    threads: 1
    resources:
        mem_mb=resource("checkpoints", "mem_mb"),
        runtime=resource("checkpoints", "runtime"),
        gpu=resource("checkpoints", "gpu"),
    params:
        digest=digest("checkpoints"),
    message:
        "{wildcards.study}: checkpoints {wildcards.entry}/{wildcards.stack}"
    shell:
        "python -m agentomy.pipeline.run.job {wildcards.study:q} checkpoints {wildcards.entry:q}/{wildcards.stack:q} {log:q} {params.digest:q}"
