"""Agents of Stable-Baselines3 and sb3-contrib, saved once for all tests of this folder."""

from copy import deepcopy
from functools import cache

import pytest
import sb3_contrib as contrib
import stable_baselines3 as sb3
from gymnasium import spaces
from stable_baselines3.common.callbacks import CheckpointCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from torch import nn

from tests.foreign_agents.worlds import CHOICE, PICTURE, REACH, VECTOR, World, shaken

SMALL = {"net_arch": [16, 12]}
DEEP = {"net_arch": {"pi": [16, 8, 8], "vf": [20]}}
Q_DEEP = {"net_arch": {"pi": [16, 8, 8], "qf": [20]}}

# name: class, policy, observations, actions, options
MADE = {
    "a2c": (sb3.A2C, "MlpPolicy", VECTOR, CHOICE, {"policy_kwargs": DEEP}),
    "a2c gsde": (sb3.A2C, "MlpPolicy", VECTOR, REACH, {"use_sde": True, "policy_kwargs": SMALL}),
    "a2c squashed": (
        sb3.A2C,
        "MlpPolicy",
        VECTOR,
        REACH,
        {"use_sde": True, "policy_kwargs": {**SMALL, "squash_output": True, "full_std": False, "use_expln": True}},
    ),
    "ppo": (sb3.PPO, "MlpPolicy", VECTOR, CHOICE, {"policy_kwargs": {**SMALL, "activation_fn": nn.ELU}}),
    "ppo linear": (sb3.PPO, "MlpPolicy", VECTOR, REACH, {"policy_kwargs": {"net_arch": []}}),
    "ppo plain": (sb3.PPO, "MlpPolicy", VECTOR, REACH, {"policy_kwargs": {**SMALL, "ortho_init": False}}),
    "ppo cnn": (sb3.PPO, "CnnPolicy", PICTURE, CHOICE, {}),
    "ppo two cnns": (
        sb3.PPO,
        "CnnPolicy",
        PICTURE,
        CHOICE,
        {"policy_kwargs": {"share_features_extractor": False, "features_extractor_kwargs": {"features_dim": 32}}},
    ),
    "ppo raw pixels": (sb3.PPO, "CnnPolicy", PICTURE, CHOICE, {"policy_kwargs": {"normalize_images": False}}),
    "ppo one-hot": (sb3.PPO, "MlpPolicy", spaces.Discrete(7), CHOICE, {"policy_kwargs": SMALL}),
    "ppo choices": (
        sb3.PPO,
        "MlpPolicy",
        spaces.MultiDiscrete([3, 2]),
        spaces.MultiDiscrete([4, 2, 3]),
        {"policy_kwargs": SMALL},
    ),
    "ppo switches": (sb3.PPO, "MlpPolicy", spaces.MultiBinary(6), spaces.MultiBinary(3), {"policy_kwargs": SMALL}),
    "trpo": (contrib.TRPO, "MlpPolicy", VECTOR, REACH, {"policy_kwargs": DEEP}),
    "dqn": (sb3.DQN, "MlpPolicy", VECTOR, CHOICE, {"policy_kwargs": SMALL}),
    "dqn cnn": (sb3.DQN, "CnnPolicy", PICTURE, CHOICE, {}),
    "qr-dqn": (contrib.QRDQN, "MlpPolicy", VECTOR, CHOICE, {"policy_kwargs": {**SMALL, "n_quantiles": 11}}),
    "ddpg": (sb3.DDPG, "MlpPolicy", VECTOR, REACH, {"policy_kwargs": SMALL}),
    "td3": (sb3.TD3, "MlpPolicy", VECTOR, REACH, {"policy_kwargs": Q_DEEP}),
    "td3 cnn": (sb3.TD3, "CnnPolicy", PICTURE, REACH, {"policy_kwargs": {"share_features_extractor": True, **SMALL}}),
    "sac": (sb3.SAC, "MlpPolicy", VECTOR, REACH, {"policy_kwargs": SMALL}),
    "sac gsde": (sb3.SAC, "MlpPolicy", VECTOR, REACH, {"use_sde": True, "policy_kwargs": {**SMALL, "clip_mean": 0.7}}),
    "sac cnn": (sb3.SAC, "CnnPolicy", PICTURE, REACH, {"policy_kwargs": SMALL}),
    "tqc": (contrib.TQC, "MlpPolicy", VECTOR, REACH, {"policy_kwargs": {**SMALL, "n_quantiles": 9, "n_critics": 3}}),
    "ars": (contrib.ARS, "MlpPolicy", VECTOR, REACH, {"policy_kwargs": SMALL}),
    "ars linear": (contrib.ARS, "LinearPolicy", VECTOR, REACH, {}),
    "ars choice": (contrib.ARS, "MlpPolicy", VECTOR, CHOICE, {"policy_kwargs": SMALL}),
}


def new_model(name: str):
    """A new model of the library."""
    algorithm, policy, observation, action, options = deepcopy(MADE[name])  # the libraries add to their options
    if issubclass(algorithm, sb3.common.off_policy_algorithm.OffPolicyAlgorithm):
        options = {"buffer_size": 10, **options}
    return algorithm(policy, World(observation, action), device="cpu", seed=0, **options)


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """name → (the library's model, the zip that it saved)."""
    folder = tmp_path_factory.mktemp("agents")

    @cache
    def one(name: str):
        model = shaken(new_model(name))
        path = folder / f"{name.replace(' ', '-')}.zip"
        model.save(path)
        return model, path

    return one


STEP, LAST = 64, 512


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A folder as a run of SB3 leaves it: PPO learns CartPole, with its checkpoints and its evaluations."""
    folder = tmp_path_factory.mktemp("runs")
    model = sb3.PPO("MlpPolicy", "CartPole-v1", n_steps=STEP, batch_size=STEP, n_epochs=2, seed=0, **small())
    # by itself EvalCallback draws other starts each time, and every tenth pair of intervals would miss the truth
    games = make_vec_env("CartPole-v1", seed=1)
    evaluation = EvalCallback(games, n_eval_episodes=20, eval_freq=STEP, log_path=str(folder), verbose=0)
    model.learn(LAST, callback=[CheckpointCallback(STEP, str(folder)), evaluation])
    return folder


def small() -> dict:
    return {"device": "cpu", "policy_kwargs": {"net_arch": [8, 8]}}
