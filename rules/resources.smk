# What jobs ask of a cluster.
def resource(stage, what):
    """By the study file of a job; one that failed is given more memory and time."""

    def asked(wanted, attempt):
        found = plan.studies[wanted.study].resources(stage, name_of(stage, wanted))[
            what
        ]
        return found if what == "gpu" else found * attempt

    return asked
