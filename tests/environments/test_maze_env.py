"""The maze game: gymnasium's checker, the paper's actions and pictures, and a batch that agrees step by step."""

import copy

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from agentomy.environments import maze_batch, mazes
from agentomy.environments.maze import Maze
from agentomy.environments.maze_batch import DOWN, LEFT, MOVE_OF, RIGHT, STAY, UP, MazeBatch
from agentomy.environments.maze_pictures import CHEESE, MOUSE, WALL, Painter

MAZE = "agentomy.environments.maze:agentomy/Maze-v0"
PALETTES = ("planes", "rgb")


def drawn(count: int, world: int, region: int | None = None, seed: int = 0) -> mazes.Levels:
    return mazes.generate(np.random.default_rng(seed).integers(mazes.SEEDS, size=count), world, region)


def batch(levels: mazes.Levels, count: int, limit: int = 60, palette: str = "planes", pixels: int = 0) -> MazeBatch:
    painter = Painter(palette, levels.world, pixels or levels.world)
    return MazeBatch(levels, count, painter, limit, np.random.default_rng(0))


# ---- the plain environment -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("actions", [5, 15])
@pytest.mark.filterwarnings("error")
def test_the_maze_passes_gymnasiums_checker(actions, palette):
    options = {"actions": actions, "palette": palette, "pixels": 27, "render_mode": "rgb_array"}
    check_env(gymnasium.make(MAZE, world=9, **options).unwrapped)


def test_the_maze_is_registered():
    env = gymnasium.make(MAZE, world=9, region=2, max_episode_steps=7, render_mode="rgb_array")
    assert env.spec.id == "agentomy/Maze-v0"
    assert env.reset(seed=1)[0].shape == (64, 64, 3)
    assert env.action_space.n == 15
    ends = [env.step(4)[2:4] for _ in range(7)]  # standing still
    assert ends == [(False, False)] * 6 + [(False, True)]
    picture = env.render()
    assert (picture.shape, picture.dtype) == ((512, 512, 3), np.uint8)


@pytest.mark.parametrize("region", [None, 0, 2])
def test_a_level_seed_fixes_the_episode(region):
    env, other = Maze(world=9, region=region), Maze(world=9, region=region)
    env.reset(seed=3)
    first, info = other.reset(options={"level": 12345})
    second, again = env.reset(options={"level": 12345})
    assert np.array_equal(first, second)
    level = mazes.generate(np.array([12345]), 9, region)
    start, cheese = tuple(level.start[0].tolist()), tuple(level.cheese[0].tolist())
    expected = {"level": 12345, "side": level.side[0], "start": start, "cheese": cheese, "mouse": start}
    assert info == again == expected


def test_episodes_follow_from_the_seed_and_differ():
    one, other = Maze(world=9), Maze(world=9)
    episodes = [[env.reset(seed=seed)[1]["level"] for seed in (5, None, None, None)] for env in (one, other)]
    assert episodes[0] == episodes[1]
    assert len(set(episodes[0])) == 4


# sheet 2.2: left = {0, 1, 2}, down = {3}, up = {5}, right = {6, 7, 8}, nothing = {4, 9 … 14}
TABLE = {(-1, 0): [0, 1, 2], (0, -1): [3], (0, 1): [5], (1, 0): [6, 7, 8], (0, 0): [4, *range(9, 15)]}
MOVES = {(-1, 0): LEFT, (0, -1): DOWN, (0, 1): UP, (1, 0): RIGHT, (0, 0): STAY}


def in_the_open(actions: int) -> Maze:
    """A maze without walls, whose mouse stands in the middle and whose cheese lies in a corner."""
    env = Maze(world=5, actions=actions, palette="planes", pixels=5)
    env.reset(options={"level": 1})
    env.levels.walls[:] = False
    env.mouse, env.cheese = (2, 2), (4, 4)
    return env


@pytest.mark.parametrize("actions", [5, 15])
def test_actions_move_the_mouse_as_the_table_says(actions):
    for (dx, dy), fifteen in TABLE.items():
        for action in fifteen if actions == 15 else [MOVES[dx, dy]]:
            env = in_the_open(actions)
            picture, reward, terminated, truncated, info = env.step(action)
            assert info["mouse"] == (2 + dx, 2 + dy)
            assert (reward, terminated, truncated) == (0, False, False)
            assert picture[2 - dy, 2 + dx, 1] == 1  # rows are counted from the top
            assert MOVE_OF[actions][action] == MOVES[dx, dy]


@pytest.mark.parametrize(("cell", "action"), [((0, 2), LEFT), ((4, 2), RIGHT), ((2, 0), DOWN), ((2, 4), UP)])
def test_nothing_leads_out_of_the_world(cell, action):
    env = in_the_open(5)
    env.mouse = cell
    assert env.step(action)[4]["mouse"] == cell


def test_walls_stop_the_mouse():
    env = in_the_open(5)
    env.levels.walls[:] = True
    for action in range(5):
        assert env.step(action)[4]["mouse"] == (2, 2)


def test_the_cheese_gives_ten_and_ends_the_episode_even_in_the_last_step():
    env = in_the_open(5)
    env.max_episode_steps, env.mouse = 2, (3, 3)
    assert env.step(UP)[1:4] == (0, False, False)
    assert env.step(RIGHT)[1:4] == (10, True, False)
    env.time, env.mouse = 1, (3, 4)
    assert env.step(STAY)[1:4] == (0, False, True)


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ({"world": 10}, "mazes: world: found 10; allowed: an odd number, 3 or more"),
        ({"region": 12}, "mazes: region: found 12; allowed: 0 to 9, or null for anywhere"),
        ({"actions": 4}, "maze: actions: found 4; allowed: 5 or 15"),
        ({"max_episode_steps": 0}, "maze: max_episode_steps: found 0; allowed: 1 or more"),
        ({"pixels": 8}, "maze pictures: pixels: found 8; allowed: 9 (the world) or more"),
        ({"palette": "gray"}, "maze pictures: palette: found 'gray'; allowed: planes, rgb"),
    ],
)
def test_a_mistake_is_one_line(parameters, line):
    with pytest.raises(ValueError, match="maze") as error:
        Maze(**{"world": 9} | parameters)
    assert str(error.value) == line


@pytest.mark.parametrize("action", [-1, 15, 2.5])
def test_an_action_that_there_is_not_is_named(action):
    env = Maze(world=9)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=f"maze: action: found {action}; allowed: 0 to 14"):
        env.step(action)


# ---- pictures --------------------------------------------------------------------------------------------------------


def test_cells_of_the_original_are_two_or_three_pixels_wide():
    widths = np.bincount(Painter("rgb", 25, 64).cell_of)
    assert set(widths) == {2, 3}
    assert widths.sum() == 64


@given(st.integers(1, 8).map(lambda k: 2 * k + 1), st.floats(1, 4), st.sampled_from(PALETTES), st.integers(0, 2**32))
@settings(max_examples=50)
def test_every_pixel_shows_what_is_in_its_cell(world, scale, palette, seed):
    """Pixel by pixel: walls are wall all over, objects are blobs within their cell, and the rest is floor."""
    pixels = int(world * scale)
    level = mazes.generate(np.array([seed]), world)
    cells = np.argwhere(~level.walls[0])[:, ::-1]
    mouse = cells[seed % len(cells)]
    picture = Painter(palette, world, pixels).mice(level, mouse[None])[0]
    seen = {tuple(mouse): 0, tuple(level.cheese[0]): 0}
    for row, column in np.ndindex(pixels, pixels):
        x, y = column * world // pixels, (pixels - 1 - row) * world // pixels
        pixel = tuple(picture[row, column].tolist())
        if level.walls[0, y, x]:
            assert pixel == WALL[palette]
            continue
        for place, colour in ((tuple(mouse), MOUSE), (tuple(level.cheese[0]), CHEESE)):
            if pixel == colour[palette] and (x, y) == place:
                seen[place] += 1
        if palette == "planes" and (x, y) not in seen:
            assert pixel == (0, 0, 0)
    size = 4 if pixels >= 2 * world else 1
    if palette == "planes":  # the mouse covers the cheese
        assert all(count == size for count in seen.values())
    assert all(count >= size for count in seen.values())


def test_planes_are_zeros_and_ones_and_the_wall_is_what_is_not_open():
    levels = drawn(50, 9)
    pictures = Painter("planes", 9, 9).mice(levels, levels.start)
    assert set(np.unique(pictures)) == {0, 1}
    np.testing.assert_array_equal(pictures[:, ::-1, :, 0], levels.walls)
    for plane, cells in ((1, levels.start), (2, levels.cheese)):
        assert (pictures[..., plane].sum(axis=(1, 2)) == 1).all()
        assert (mazes.at_cells(pictures[:, ::-1, :, plane], cells) == 1).all()


def test_the_floor_has_a_tint_of_its_level_and_noise_around_it():
    levels = drawn(300, 25)
    pictures = Painter("rgb", 25, 64).mazes(levels, cheese=False)
    cells = Painter("rgb", 25, 64).cell_of
    open_pixels = ~levels.walls[:, cells[::-1][:, None], cells]
    tints, spreads = np.zeros((300, 3)), np.zeros(300)
    for i in range(300):
        floor = pictures[i][open_pixels[i]].astype(float)
        tints[i], spreads[i] = floor.mean(axis=0), floor.std(axis=0).mean()
        assert np.ptp(floor, axis=0).max() <= 50
    assert 18 < tints.min() < 30
    assert 100 < tints.max() < 112
    assert tints.std(axis=0) == pytest.approx(26, abs=3)  # of a uniform variable over 91 values
    assert spreads.mean() == pytest.approx(14.5, abs=0.7)  # of a uniform variable over 51 values, clipped at 0
    again = Painter("rgb", 25, 64).mazes(levels[::-1], cheese=False)[::-1]
    np.testing.assert_array_equal(pictures, again)


def test_without_cheese_the_picture_is_the_same_but_for_the_cheese():
    levels, painter = drawn(30, 9), Painter("rgb", 9, 18)
    differ = (painter.mazes(levels) != painter.mazes(levels, cheese=False)).any(axis=3)
    assert (differ.sum(axis=(1, 2)) <= 4).all()
    assert (mazes.at_cells(differ[:, ::-1][:, ::2, ::2], levels.cheese)).all()


# ---- the batch -------------------------------------------------------------------------------------------------------


def follow(played: MazeBatch, envs: list[Maze], actions: np.ndarray) -> None:
    """Take actions [T, E] in the batch and in plain environments; all that can be seen must agree."""
    count = envs[0].action_space.n
    for acted in actions:
        rewards, terminated, truncated, last = played.step(MOVE_OF[count][acted])
        assert last.shape[0] == truncated.sum()
        cut = iter(last)
        for i, env in enumerate(envs):
            picture, reward, ended, out_of_time, _ = env.step(int(acted[i]))
            assert (rewards[i], terminated[i], truncated[i]) == (reward, ended, out_of_time)
            if out_of_time:
                assert np.array_equal(next(cut), picture)
            if ended or out_of_time:
                picture, _ = env.reset(options={"level": int(played.levels.seed[played.level[i]])})
            assert np.array_equal(played.observations[i], picture)


@pytest.mark.slow
@given(
    world=st.integers(1, 4).map(lambda k: 2 * k + 1),
    region=st.none() | st.integers(0, 3),
    count=st.sampled_from([5, 15]),
    limit=st.integers(1, 25),
    palette=st.sampled_from(PALETTES),
    scale=st.sampled_from([1, 1.5, 2, 2.6]),
    seed=st.integers(0, 2**32),
    memory=st.sampled_from([0, 2**28]),
)
@settings(max_examples=60)
def test_the_batch_agrees_with_plain_environments(world, region, count, limit, palette, scale, seed, memory):
    pixels, before = int(world * scale), maze_batch.DRAWN_ONCE
    maze_batch.DRAWN_ONCE = memory  # whether all pictures are drawn beforehand
    try:
        played = batch(drawn(20, world, region, seed), 6, limit, palette, pixels)
    finally:
        maze_batch.DRAWN_ONCE = before
    envs = [Maze(world, region, count, limit, palette, pixels) for _ in range(6)]
    for i, env in enumerate(envs):
        picture, _ = env.reset(options={"level": int(played.levels.seed[played.level[i]])})
        assert np.array_equal(played.observations[i], picture)
    # mostly up and right, so that some get the cheese
    chosen = [UP, RIGHT, LEFT, DOWN, STAY] if count == 5 else [5, 7, 1, 3, 11]
    rng = np.random.default_rng(seed)
    actions = np.where(
        rng.random((60, 6)) < 0.5,
        rng.choice(chosen, (60, 6), p=[0.35, 0.35, 0.1, 0.1, 0.1]),
        rng.integers(count, size=(60, 6)),
    )
    follow(played, envs, actions)


def test_the_batch_agrees_at_the_papers_size():
    played = batch(drawn(10, 25, 5), 4, 80, "rgb", 64)
    envs = [Maze(region=5, max_episode_steps=80) for _ in range(4)]
    for i, env in enumerate(envs):
        env.reset(options={"level": int(played.levels.seed[played.level[i]])})
    follow(played, envs, np.random.default_rng(0).integers(15, size=(200, 4)))


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("steps", [0, 7, 83])
def test_a_batch_goes_on_from_a_saved_state_bit_for_bit(steps, palette):
    levels, moves = drawn(30, 7), np.random.default_rng(1).integers(5, size=(steps + 60, 16))
    ours, other = batch(levels, 16, 12, palette, 15), batch(levels, 16, 12, palette, 15)

    def go_on(played: MazeBatch) -> list:
        return [(*played.step(move), played.observations.copy()) for move in moves[steps:]]

    for move in moves[:steps]:
        ours.step(move)
    state = ours.state()
    kept = copy.deepcopy(state)
    unbroken = go_on(ours)
    for played in (ours, other):
        played.restore(state)
        for name, value in kept.items():  # what was done since must not have changed the state that was taken
            assert np.array_equal(value, state[name])
        for one, two in zip(unbroken, go_on(played), strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_new_levels_are_drawn_uniformly():
    levels = drawn(5, 3)
    played = batch(levels, 400, limit=1)
    counts = np.bincount(played.level, minlength=5)
    for _ in range(50):
        played.step(np.full(400, STAY))
        counts += np.bincount(played.level, minlength=5)
    assert counts == pytest.approx(counts.mean(), rel=0.05)


@pytest.mark.parametrize(
    ("world", "region", "limit", "actions", "solved"),
    [
        # on the real game, 1,024 episodes each (sheet, section 9)
        (25, None, 500, 15, 0.27),
        (15, None, 500, 15, 0.43),
        # of an environment written for the sheet (section 8)
        (9, None, 60, 5, 0.37),
        (9, 2, 60, 5, 0.18),
        (9, 4, 60, 5, 0.25),
    ],
)
def test_a_random_walk_finds_the_cheese_as_often_as_in_the_original(world, region, limit, actions, solved):
    count, rng = 2048, np.random.default_rng(0)
    played = batch(drawn(count, world, region), count, limit)
    solvers = np.zeros(count, bool)  # in the first episode of each maze: whoever ends sooner has found it
    for _ in range(limit):
        solvers |= played.step(MOVE_OF[actions][rng.integers(actions, size=count)])[1]
    assert solvers.mean() == pytest.approx(solved, abs=0.04)
