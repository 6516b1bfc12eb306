# Environments: tasks, levels and data sets, as tables.
rule environment:
    input:
        needed("environments"),
    output:
        f"{RESULTS}/{{study}}/environments/{{name}}.parquet",
        record_of("environments"),
    log:
        f"{RESULTS}/{{study}}/logs/environments/{{name}}.log",
    priority: priority("environments")
    conda:
        "../envs/agentomy.yaml"
    threads: 1
    resources:
        mem_mb=resource("environments", "mem_mb"),
        runtime=resource("environments", "runtime"),
    params:
        digest=digest("environments"),
    message:
        "{wildcards.study}: environments {wildcards.name}"
    shell:
        "python -m agentomy.pipeline.run.job {wildcards.study:q} environments {wildcards.name:q} {log:q} {params.digest:q}"
