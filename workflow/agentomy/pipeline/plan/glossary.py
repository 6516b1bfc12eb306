"""What parameters of stage functions mean that have the same name and the same meaning wherever they occur.

A function that takes one of them otherwise says so in a comment behind the parameter, or in its docstring.
"""

PARAMETERS = {
    # who is looked at
    "run": "the training run that is shown",
    "runs": "training runs; in a mapping, each with the name that a reader sees",
    "seed": "the training seed that is shown",
    "task": "the environment that is shown, by its name in the study",
    "tasks": "environments, by their names in the study",
    "method": "the method that is compared with the others",
    "methods": "methods, in the order in which they are shown",
    "others": "methods that it is compared with",
    "trained": "whether the last snapshot is taken, or the untrained network",
    "part": "only tensors whose names begin with this; empty: all",
    "layer": "the layer of the network",
    "layers": "layers of the network",
    "adapter": "how the networks of a paper are read; if nothing is said, the `adapter` of their run",
    # size of the work
    "episodes": "number of episodes",
    "updates": "updates in the whole run",
    "batch": "samples in one update",
    "learning_rate": "step size of the optimiser",
    "buffer_size": "transitions that the replay buffer holds",
    "steps_per_update": "environment steps in one update",
    "resamples": "bootstrap resamples, from which the intervals come",
    "fit_steps": "updates in which each map is fitted",
    "train_episodes": "episodes on which maps are fitted",
    "test_episodes": "episodes on which maps are judged",
    "keep_states": "whether the states themselves are kept, for figures of them",
    # rewards, environments
    "discount": "discount of rewards, per step",
    "max_episode_steps": "steps after which an episode is cut",
    "forget_bias": "bias of the LSTM's forget gates before training",
    "temperature": "factor on the variance of the sampler's noise; 0 is none",
    "learning_starts": "steps by uniformly random actions before learning starts",
    "max_grad_norm": "largest norm of a gradient",
    "gae_lambda": "λ of the generalised advantage estimate",
    # mazes
    "region": "side of the square at the top right in which the cheese was in training, in cells",
    "smallest_side": "side of the smallest mazes that are taken, in cells",
    "conditions": "what the mazes hold: `cheese`, `no cheese`, or both",
    "split": "which levels are taken, those of training or those held out; null: all",
    "mazes": "number of mazes that are shown",
    # paths of parameters
    "variant": "raw: a path as it is; delta: from where its period begins",
    "directions": "numbers of the directions, 1 having the largest singular value",
    "deltas": "lengths of the moves along a subnetwork, with their sign",
    "within": "the tensors that are moved, as the extraction names them; all: every tensor",
    "interval": "updates between two snapshots",
    "window": "snapshots in the window",
    "period": "least number of updates between two applications",
    "keep": "leading directions that trimming keeps",
    "boosted": "leading directions that are boosted",
    "boost": "share of its way through the window by which the policy is moved on",
    "trim": "where the other coordinates go: to zero, to where the window began (hold), or nowhere (none)",
    "scope": "all: one path; layer: one path for each layer",
    "after": "slide: the new policy becomes the window's last snapshot; clear: the window begins anew",
    # figures
    "episode": "number of the episode that is shown",
    "columns": "panels in a row",
}
