# Metrics: tables in, tables out.
rule metric:
    input:
        needed("metrics"),
    output:
        f"{RESULTS}/{{study}}/metrics/{{name}}.parquet",
        record_of("metrics"),
    log:
        f"{RESULTS}/{{study}}/logs/metrics/{{name}}.log",
    priority: priority("metrics")
    conda:
        "../envs/agentomy.yaml"
    threads: 1
    resources:
        mem_mb=resource("metrics", "mem_mb"),
        runtime=resource("metrics", "runtime"),
    params:
        digest=digest("metrics"),
    message:
        "{wildcards.study}: metrics {wildcards.name}"
    shell:
        "python -m agentomy.pipeline.run.job {wildcards.study:q} metrics {wildcards.name:q} {log:q} {params.digest:q}"
