"""Nothing in a foreign file is run, and none takes more memory than its size explains."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from agentomy.foreign_agents.arrays import read_npz
from agentomy.foreign_agents.files import Archive
from agentomy.foreign_agents.normalisers import read_normaliser
from agentomy.foreign_agents.opening import opened
from agentomy.foreign_agents.zoo import keywords, normalisation, read_zoo
from agentomy.mistakes import ConfigError
from tests.foreign_agents.hostile import Writes, linked, pickled, replaced, torch_zip, zipped


def refusal(do) -> str:
    """The line by which something is refused."""
    with pytest.raises(ConfigError) as error:
        do()
    line = str(error.value)
    assert line.isprintable()
    assert len(line) < 600
    return line


def state(path):
    torch.save({"0.weight": torch.ones(2, 3), "0.bias": torch.zeros(2)}, path)
    return path


# ---- code --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_would_write_a_file_is_refused_and_writes_none(protocol, tmp_path):
    mark = tmp_path / "written"
    path = tmp_path / "vecnormalize.pkl"
    path.write_bytes(pickle.dumps(Writes(mark), protocol))
    line = refusal(lambda: read_normaliser(path))
    assert line.startswith(f"{path}: ")
    if protocol > 1:
        assert "posix.system" in line
    assert not mark.exists()
    pickle.loads(path.read_bytes())
    assert mark.exists()  # or the test shows nothing


def test_a_pickle_inside_tensors_is_refused_and_not_run(tmp_path):
    mark, path = tmp_path / "written", tmp_path / "agent.pt"
    torch.save({"0.weight": torch.ones(2), "args": Writes(mark)}, path)
    line = refusal(lambda: opened(path))
    assert "posix.system" in line
    assert "torch.save(model.state_dict(), 'agent.pt')" in line
    assert not mark.exists()


def test_pickles_in_an_sb3_zip_are_never_looked_at(saved, tmp_path):
    """Those beside the text in `data`, and members that nobody needs."""
    _, good = saved("dqn")
    mark = tmp_path / "written"
    with zipfile.ZipFile(good) as archive:
        data = archive.read("data").decode()
    evil = pickled(Writes(mark))
    changed = data.replace('":serialized:": "', '":serialized:": "' + evil.hex(), 1)
    members = {"data": changed.encode(), "policy.optimizer.pth": evil, "pytorch_variables.pth": evil}
    contents = opened(replaced(good, tmp_path / "evil.zip", members))
    assert contents.said.policy
    assert not any(":serialized:" in value for value in contents.said.data.values() if isinstance(value, dict))
    assert not mark.exists()


def test_an_sb3_policy_that_is_a_pickle_is_refused(saved, tmp_path):
    _, good = saved("dqn")
    mark = tmp_path / "written"
    for evil in (pickled(Writes(mark)), torch_zip(pickled(Writes(mark)))):
        path = replaced(good, tmp_path / "evil.zip", {"policy.pth": evil})
        assert f"{path}: policy.pth: " in refusal(lambda path=path: opened(path))
    assert not mark.exists()


WHOLE = torch.nn.Sequential(torch.nn.Linear(2, 2))


def whole_module(path):
    torch.save(WHOLE, path)


def old_torch(path):
    torch.save(WHOLE.state_dict(), path, _use_new_zipfile_serialization=False)


def torch_script(path):
    torch.jit.save(torch.jit.trace(WHOLE, torch.ones(1, 2)), path)


def exported(path):
    path.write_bytes(zipped(path, {"a/archive_format": b"pt2", "a/version": b"0", "a/data.pkl": b""}).read_bytes())


def rllib(path):
    path.write_bytes(b"\x80\x04" + b"ray.rllib.algorithms.ppo")


@pytest.mark.parametrize(
    ("write", "names"),
    [
        (whole_module, "torch.nn.modules.container.Sequential"),
        (old_torch, "old torch"),
        (torch_script, "TorchScript"),
        (exported, ".pt2"),
        (rllib, "RLlib"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_runs_code_is_refused_with_the_line_that_exports_instead(write, names, tmp_path):
    path = tmp_path / "agent.pt"
    write(path)
    line = refusal(lambda: opened(path))
    assert names in line
    assert "state_dict(), 'agent.pt')`" in line


def test_an_exported_program_is_refused_by_its_name_too(tmp_path):
    path = state(tmp_path / "agent.pt2")
    assert ".pt2" in refusal(lambda: opened(path))


def test_object_arrays_are_refused(tmp_path):
    mark, path = tmp_path / "written", tmp_path / "evaluations.npz"
    np.savez(path, timesteps=np.array([Writes(mark)], dtype=object))
    assert "object arrays are pickles" in refusal(lambda: read_npz(path))
    assert not mark.exists()


CONFIG = """!!python/object/apply:collections.OrderedDict
- - - batch_size
    - 64
  - - env_wrapper
    - !!python/name:os.system
  - - policy_kwargs
    - !!python/object/apply:os.system ["touch MARK"]
  - - shape
    - !!python/tuple [1, 2]
  - - normalize
    - "dict(norm_obs=True, norm_reward=False, clip_obs=5.)"
"""


def test_tags_of_python_in_yaml_stay_text(tmp_path):
    mark, path = tmp_path / "written", tmp_path / "config.yml"
    path.write_text(CONFIG.replace("MARK", str(mark)))
    config = read_zoo(path)
    assert config["batch_size"] == 64
    assert config["env_wrapper"] == "!!python/name:os.system"
    assert config["policy_kwargs"] == "!!python/object/apply:os.system"
    assert config["shape"] == [1, 2]
    assert normalisation(config, path) == {"norm_obs": True, "norm_reward": False, "clip_obs": 5.0}
    assert not mark.exists()


@pytest.mark.parametrize(
    "text", ["__import__('os').system('touch MARK')", "dict(norm_obs=open('MARK', 'w'))", "lambda: 1"]
)
def test_strings_that_are_code_are_not_run(text, tmp_path):
    mark = tmp_path / "written"
    text = text.replace("MARK", str(mark))
    assert "is not run" in refusal(lambda: normalisation({"normalize": text}, tmp_path / "config.yml"))
    assert not mark.exists()


def test_names_in_strings_that_are_code_stay_text():
    parsed = keywords("dict(activation_fn=nn.ReLU, net_arch=dict(pi=[64, 64], vf=[64]), log_std_init=-2)")
    assert parsed == {"activation_fn": "nn.ReLU", "net_arch": {"pi": [64, 64], "vf": [64]}, "log_std_init": -2}


@pytest.mark.parametrize("text", ["a: &a [1]\nb: *a", "[" * 1000, "- 1", "a: !!python/tuple {", "\x00"])
def test_yaml_that_is_no_mapping_within_bounds_is_one_line(text, tmp_path):
    path = tmp_path / "config.yml"
    path.write_text(text)
    refusal(lambda: read_zoo(path))


# ---- archives ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../policy.pth", "/etc/passwd", "a/../../b", "..\\b", "C:\\b"])
def test_members_outside_the_archive_are_refused(name, tmp_path):
    path = zipped(tmp_path / "agent.zip", {"data": b"{}", name: b""})
    assert "inside the archive" in refusal(lambda: opened(path))


def test_symbolic_links_in_an_archive_are_refused(tmp_path):
    path = linked(tmp_path / "agent.zip", "data", "/etc/passwd")
    assert "symbolic link" in refusal(lambda: opened(path))


def test_a_member_that_swells_is_refused_before_it_is_unpacked(tmp_path):
    path = zipped(tmp_path / "agent.zip", {"data": bytes(10**7)}, zipfile.ZIP_BZIP2)
    assert path.stat().st_size < 1000
    assert "zip bomb" in refusal(lambda: opened(path))


def test_members_that_lie_over_each_other_are_refused(tmp_path):
    """Many entries of the directory that name the same bytes, as in Fifield's bombs."""
    path = zipped(tmp_path / "agent.zip", {"data": bytes(10**5)})
    content = path.read_bytes()
    entries = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    count, entry = 3000, content[entries:end]
    many = b"".join(entry.replace(b"data", b"%04d" % number) for number in range(count))
    tail = (
        content[end : end + 8] + count.to_bytes(2, "little") * 2 + len(many).to_bytes(4, "little") + content[end + 16 :]
    )
    path.write_bytes(content[:entries] + many + tail)
    assert "zip bomb" in refusal(lambda: opened(path))


def test_bounds_of_archives_hold():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data", bytes(100))
        archive.writestr("more", bytes(100))
    assert "found members of 200 bytes" in refusal(lambda: Archive(buffer.getvalue(), "agent.zip", 199))
    assert "allowed: at most 99" in refusal(lambda: Archive(buffer.getvalue(), "agent.zip").read("data", 99))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_in_an_archive_is_refused(tmp_path):
    path = tmp_path / "agent.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", b"{}")
        archive.writestr("data", b"[]")
    assert "twice" in refusal(lambda: opened(path))


def test_what_is_no_file_is_not_waited_for(tmp_path):
    path = tmp_path / "agent.zip"
    os.mkfifo(path)
    assert "no regular file" in refusal(lambda: opened(path))
    assert "folder" in refusal(lambda: opened(tmp_path))
    assert "No such file" in refusal(lambda: opened(tmp_path / "none.zip"))


# ---- tensors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "stride"), [("(1000000, 1000000)", "(0, 0)"), ("(2,)", "(100,)"), ("(4,)", "(1,)"), ("(2,)", "(-1,)")]
)
def test_a_tensor_is_no_larger_than_its_numbers(size, stride, tmp_path):
    """A stride of 0 would make a million million numbers of three."""
    path = tmp_path / "agent.pt"
    path.write_bytes(torch_zip(_tensor(eval(size), eval(stride), 3), {"0": bytes(12)}))
    refusal(lambda: opened(path))
    path.write_bytes(torch_zip(_tensor((3,), (1,), 3), {"0": bytes(12)}))
    np.testing.assert_array_equal(opened(path).states[0]["w"], np.zeros(3))


def _tensor(size: tuple, stride: tuple, stored: int) -> bytes:
    """The pickle of {"w": a tensor}, as `torch.save` writes it."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, of):
            return of.key if isinstance(of, Storage) else None

    buffer = io.BytesIO()
    Pickler(buffer, protocol=2).dump({"w": Rebuilt((Storage(stored), 0, size, stride, False, {}))})
    return buffer.getvalue()


class Storage:
    def __init__(self, stored: int):
        self.key = ("storage", torch.FloatStorage, "0", "cpu", stored)


class Rebuilt:
    def __init__(self, arguments: tuple):
        self.arguments = arguments

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, self.arguments


def test_tensors_are_those_that_torch_reads(tmp_path):
    shared = torch.arange(12.0)
    values = {
        "view": shared[2:8:2],
        "turned": shared.reshape(3, 4).T,
        "half": torch.randn(3).half(),
        "brain": torch.randn(3).bfloat16(),
        "long": torch.tensor([2**40, -1]),
        "truth": torch.tensor([True, False]),
        "number": torch.tensor(1.5),
        "none": torch.zeros(0, 3),
        "learned": torch.nn.Parameter(torch.ones(2, 2)),
    }
    path = tmp_path / "agent.pt"
    torch.save(values, path)
    theirs = torch.load(path, weights_only=True)
    ours = opened(path).states[0]
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        np.testing.assert_array_equal(tensor, theirs[name].detach().to(torch.as_tensor(tensor).dtype).numpy(), name)


def test_broken_safetensors_are_one_line(tmp_path):
    path = tmp_path / "agent.safetensors"
    save_file({"0.weight": torch.ones(2, 3)}, path)
    whole = path.read_bytes()
    for cut in (0, 7, 20, len(whole) - 1):
        path.write_bytes(whole[:cut])
        refusal(lambda: opened(path))
