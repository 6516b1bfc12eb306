# The explorer: a local web page over the results that exist, until it is stopped.
rule explorer:
    log:
        f"{RESULTS}/explorer.log",
    conda:
        "../envs/agentomy.yaml"
    params:
        scale=plan.config.scale,
    message:
        "the explorer, until Ctrl-C"
    shell:
        "python -m agentomy.command explore --scale {params.scale} 2>&1 | tee {log:q}"


# The parts of the explorer that need no server, as one self-contained page.
rule explorer_copy:
    input:
        lambda wildcards: [
            target
            for target in wanted_of(plan.config.studies)(wildcards)
            if target.endswith(".parquet")
        ],
    output:
        f"{RESULTS}/explorer.html",
    log:
        f"{RESULTS}/explorer-copy.log",
    conda:
        "../envs/agentomy.yaml"
    params:
        scale=plan.config.scale,
        code=lambda wildcards: plan.source.digest("explorer.static.write"),
    message:
        "a copy of the explorer"
    shell:
        "python -m agentomy.explorer.static {params.scale} {output:q} 2> {log:q}"
