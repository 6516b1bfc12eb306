"""Whatever bytes a file holds, it ends in values or in one line: no crash, no run, no file that is half read."""

import json
import pickle
import pickletools
import zipfile
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from agentomy.foreign_agents import pickles, spaces
from agentomy.foreign_agents.from_scripts import Stated
from agentomy.foreign_agents.normalisers import MODULES, read_normaliser
from agentomy.foreign_agents.opening import opened, recognised
from agentomy.foreign_agents.returns import read_evaluations, read_monitor
from agentomy.foreign_agents.zoo import normalisation, read_zoo
from agentomy.mistakes import ConfigError
from agentomy.networks.foreign.agent import rebuilt
from tests.foreign_agents.hostile import pickled, replaced, torch_zip
from tests.foreign_agents.test_hostile import CONFIG, refusal, state
from tests.foreign_agents.worlds import CHOICE, VECTOR


@pytest.fixture(scope="module")
def statistics(tmp_path_factory):
    """A `vecnormalize.pkl` as SB3 writes it."""
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    from tests.foreign_agents.worlds import REACH, VECTOR, World

    env = VecNormalize(DummyVecEnv([lambda: World(VECTOR, REACH)]), clip_obs=5.0)
    for _ in range(3):
        env.reset()
    path = tmp_path_factory.mktemp("statistics") / "vecnormalize.pkl"
    env.save(path)
    return path.read_bytes()


def flipped(whole: bytes, data) -> bytes:
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    return bytes(damaged)


@settings(max_examples=200)
@given(data=st.data())
def test_flipped_bytes_of_a_pickle_end_in_one_line_or_in_numbers(statistics, data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "flipped.pkl"
    path.write_bytes(flipped(statistics, data))
    with suppress(ConfigError):
        normaliser = read_normaliser(path)
        assert normaliser.mean.shape == normaliser.variance.shape


def safetensors_file(path):
    save_file({"0.weight": torch.ones(4, 5), "0.bias": torch.zeros(4)}, path)


def npz_file(path):
    np.savez(path, timesteps=np.arange(3), results=np.ones((3, 2)), ep_lengths=np.ones((3, 2)))


def monitor_file(path):
    path.write_text('#{"t_start": 1.0, "env_id": "CartPole-v1"}\nr,l,t\n1.5,10,0.5\n2.5,20,0.9\n')


def recognising(path):
    recognised(
        opened(path), spaces.from_gymnasium(VECTOR), spaces.from_gymnasium(CHOICE), Stated(activation="ReLU", head="q")
    )


FORMATS = {
    "agent.pt": (lambda path: torch.save({"0.weight": torch.ones(4, 5), "0.bias": torch.zeros(4)}, path), recognising),
    "agent.safetensors": (safetensors_file, recognising),
    "evaluations.npz": (npz_file, read_evaluations),
    "monitor.csv": (monitor_file, read_monitor),
    "config.yml": (lambda path: path.write_text(CONFIG), lambda path: normalisation(read_zoo(path), path)),
}


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=150)
@given(data=st.data())
def test_flipped_bytes_of_any_file_end_in_one_line_or_in_values(name, data, tmp_path_factory):
    write, read = FORMATS[name]
    path = tmp_path_factory.getbasetemp() / name
    write(path)
    path.write_bytes(flipped(path.read_bytes(), data))
    with suppress(ConfigError):
        read(path)


@settings(max_examples=300)
@given(data=st.data())
def test_flipped_bytes_of_torchs_pickle_end_in_one_line_or_in_tensors(data, tmp_path_factory):
    """With right checksums: so it is the pickle that is looked at."""
    path = tmp_path_factory.getbasetemp() / "flipped.pt"
    state(path)
    with zipfile.ZipFile(path) as archive:
        member = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        whole = archive.read(member)
    replaced(path, path, {member: flipped(whole, data)})
    with suppress(ConfigError):
        recognising(path)


@settings(max_examples=150)
@given(data=st.data())
def test_flipped_bytes_of_an_sb3_zip_end_in_one_line_or_in_a_network(saved, data, tmp_path_factory):
    """In the file itself, or in a member whose checksum is right: torch's own zip, or the text of `data`."""
    _, good = saved("ars linear")
    path = tmp_path_factory.getbasetemp() / "flipped.zip"
    member = data.draw(st.sampled_from(["", "policy.pth", "data"]))
    if member:
        with zipfile.ZipFile(good) as archive:
            replaced(good, path, {member: flipped(archive.read(member), data)})
    else:
        path.write_bytes(flipped(good.read_bytes(), data))
    with suppress(ConfigError):
        recognised(opened(path))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=6,
)
KEYS = {
    "policy_class": ("__module__", "__init__"),
    "policy_kwargs": ("activation_fn", "clip_mean", "log_std_init", "ortho_init", "normalize_images", "use_expln"),
    "observation_space": ("_shape", "low", "high", "dtype"),
    "action_space": (":type:", "_shape", "n", "low", "low_repr"),
}
PLACES = [*KEYS, "num_timesteps", "clip_range", *(f"{first} {second}" for first in KEYS for second in KEYS[first])]


@pytest.mark.parametrize("name", ["sac gsde", "ppo", "ars linear"])
@settings(max_examples=150)
@given(place=st.sampled_from(PLACES), value=JSON)
def test_any_values_in_data_end_in_one_line_or_in_a_network(name, saved, place, value, tmp_path_factory):
    _, good = saved(name)
    path = tmp_path_factory.getbasetemp() / "data.zip"
    with zipfile.ZipFile(good) as archive:
        whole = json.loads(archive.read("data"))
    first, _, second = place.partition(" ")
    whole.update({first: value} if not second else {first: {**whole[first], second: value}})
    replaced(good, path, {"data": json.dumps(whole).encode()})
    with suppress(ConfigError):
        agent_file = recognised(opened(path))
        rebuilt(agent_file, path).twin(0)


def test_what_a_file_holds_makes_no_long_line(tmp_path):
    path = tmp_path / "agent.pt"
    torch.save({"x" * 10**6: torch.ones(4, 5)}, path)
    assert "are of no network that is known; name your class" in refusal(lambda: recognising(path))
    path.write_bytes(torch_zip(b"F" + b"x" * 10**6 + b"\n."))
    assert "a broken pickle" in refusal(lambda: opened(path))


OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(OPCODES) | st.binary(max_size=6), max_size=40))
def test_any_opcodes_end_in_one_line_or_in_data(parts):
    with suppress(ConfigError):
        pickles.tree(b"".join(parts) + b".", "any.pkl", MODULES, "data")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@settings(max_examples=100)
@given(PLAIN, st.integers(0, 5))
def test_plain_values_are_those_that_pickle_reads(value, protocol):
    if protocol < 3:  # which writes bytes as a call of _codecs.encode
        value = repr(value)
    assert pickles.tree(pickle.dumps(value, protocol), "any.pkl", MODULES, "data") == value


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("dtype", ["<f8", ">f4", "i4", "u1", "?"])
def test_arrays_are_those_that_pickle_reads(dtype, protocol):
    whole = np.arange(24).reshape(2, 3, 4).astype(dtype)
    empty = np.zeros((0, 3) if protocol > 2 else (1, 3), dtype)  # no bytes at all are a call of `bytes` in protocol 2
    for value in (whole, np.asfortranarray(whole), whole[0, 0, 0], empty, np.array(3, dtype)):
        array = pickles.array(pickles.tree(pickle.dumps(value, protocol), "any.pkl", MODULES, "data"))
        np.testing.assert_array_equal(array, value)
        assert array.dtype == value.dtype


def test_a_pickle_without_end_is_bounded(monkeypatch):
    monkeypatch.setattr(pickles, "OPCODES", 100)
    assert "more than 100 opcodes" in refusal(
        lambda: pickles.tree(b"\x80\x04" + b"N" * 200 + b".", "any.pkl", MODULES, "data")
    )


def test_a_pickle_that_holds_itself_is_data():
    value: list = []
    value.append(value)
    tree = pickles.tree(pickled(value), "any.pkl", MODULES, "data")
    assert tree[0] is tree
