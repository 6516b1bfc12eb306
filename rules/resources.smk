# What jobs request from a cluster.
def resource(stage, what):
    """What the study file says for a job; a job that failed is given more memory and time."""

    def request(wildcards, attempt):
        resources = plan.studies[wildcards.study].resources(
            stage, name_of(stage, wildcards)
        )
        return resources[what] if what == "gpu" else resources[what] * attempt

    return request
