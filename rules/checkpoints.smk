# Checkpoint extraction: what networks do and hold at their snapshots; a job is ENTRY/RUN.seedsA-B, one stack of one run.
rule checkpoint:
    input:
        needed("checkpoints"),
    output:
        f"{RESULTS}/{{study}}/checkpoints/{{name}}.parquet",
        record_of("checkpoints"),
    log:
        f"{RESULTS}/{{study}}/logs/checkpoints/{{name}}.log",
    wildcard_constraints:
        name="[^/]+/[^/]+",
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
        "{wildcards.study}: checkpoints {wildcards.name}"
    shell:
        "python -m agentomy.job {wildcards.study:q} checkpoints {wildcards.name:q} {log:q} {params.digest:q}"
