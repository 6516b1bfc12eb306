# The explorer: a local web page over whatever results are there, until it is stopped.
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
        "python -m agentomy.explorer.server explore --scale {params.scale} 2>&1 | tee {log}"
