"""The command line: how arguments are arranged, and that everything wrong ends in one line that names it."""

import random
from pathlib import Path

import pytest
import yaml
from running import edited, refuses

from rlbot.__main__ import ROOT
from rlbot.arguments import arrange, stacked
from rlbot.device import choose_device
from rlbot.errors import InputError

BASE, DEBUG = (str(ROOT / "configs" / name) for name in ("base.yaml", "debug.yaml"))
SHIPPED = sorted((ROOT / "configs").glob("*.yaml"))
SECTIONS = [(file, section) for file in SHIPPED for section in yaml.safe_load(file.read_text(encoding="utf-8"))]


def test_fit_may_be_written_out_or_left_away():
    assert arrange(["fit", "--config", BASE]) == arrange(["--config", BASE]) == arrange([f"--config={BASE}"])


def test_base_yaml_is_used_where_no_config_is_given():
    assert arrange(["--timesteps", "5"]) == arrange(["--config", BASE, "--timesteps", "5"])


def test_shipped_yaml_is_found_from_any_folder_unless_one_lies_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert arrange(["--config", "configs/base.yaml"]) == arrange(["--config", BASE])
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "base.yaml").write_text("username: Zoe")
    assert arrange(["--config", "configs/base.yaml"])[0] == ["fit", "--config={username: Zoe}\n"]


def test_debug_settings_win_over_every_yaml_and_lose_to_the_command_line():
    words, _ = arrange(["--debug", "--config", BASE, "--timesteps", "5"])
    assert words == arrange(["--config", BASE, "--config", DEBUG, "--timesteps", "5"])[0]
    assert (words[0], words[2:]) == ("fit", ["--timesteps", "5"])


def test_stacked_settings_merge_key_by_key_but_lists_and_other_classes_replace():
    below = {"a": {"x": 1, "y": [{"p": 1, "q": 2}]}, "head": {"class_path": "A", "init_args": {"n": 1}}}
    above = {"a": {"y": [{"p": 3}]}, "head": {"class_path": "B"}, "b": None}
    assert stacked(below, above) == {"a": {"x": 1, "y": [{"p": 3}]}, "head": {"class_path": "B"}, "b": None}
    same = {"head": {"class_path": "A", "init_args": {"m": 2}}}
    assert stacked(below, same)["head"] == {"class_path": "A", "init_args": {"n": 1, "m": 2}}


@pytest.mark.parametrize("words", [["--curriculum.stages=[{mode: 1v1}]"], ["--curriculum.stages", "[{mode: 1v1}]"]])
def test_list_on_the_command_line_keeps_nothing_of_the_files(fit, tmp_path, words):
    one = edited(tmp_path, "curriculum: {stages: [{mode: 1v1, pool_share: 0.5}]}")
    run = fit(tmp_path, one, *words, "--timesteps=64")
    assert (run.code, yaml.safe_load((run.logdir / "config.yaml").read_text())["curriculum"]["stages"]) == (
        0,
        [{"mode": "1v1", "opponent": "selfplay", "from_timesteps": 0, "until": None, "pool_share": 0.0}],
    )


def test_command_line_wins_over_a_yaml_that_is_named_after_it(fit, tmp_path):
    run = fit(tmp_path, "--timesteps=64", edited(tmp_path, "total_timesteps: 192"))
    assert run.load()["metadata"]["timesteps"] == 64


@pytest.mark.parametrize(("device", "chosen"), [("cpu", ("cpu", 1)), ("auto", ("cpu", 1))])
def test_device_of_a_machine_without_cuda(device, chosen, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert choose_device(device) == chosen


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cpu:1", "auto:0", "", "cuda:-1"])
def test_other_devices_are_refused(device):
    with pytest.raises(InputError, match="must be auto, cpu, cuda or cuda:N"):
        choose_device(device)


@pytest.mark.parametrize("device", ["cuda", "cuda:7"])
def test_cuda_that_is_not_there_is_refused(fit, tmp_path, device, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    refuses(fit(tmp_path, f"--device={device}"), f"device={device}", "torch sees 0 CUDA devices", "--device cpu")


@pytest.mark.parametrize(("file", "section"), SECTIONS, ids=[f"{file.stem}-{key}" for file, key in SECTIONS])
def test_mistyped_key_of_each_section_of_each_shipped_yaml_is_named(fit, tmp_path, file, section):
    settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    if isinstance(settings[section], dict):
        settings[section]["bogus_key"] = 1
        refuses(fit(tmp_path, edited(tmp_path, yaml.safe_dump(settings))), "bogus_key")
    else:
        settings[f"{section}x"] = settings.pop(section)
        refuses(fit(tmp_path, edited(tmp_path, yaml.safe_dump(settings))), f"{section}x")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("seed_everything: soon", "seed_everything"),
        ("seed_everything: -1", "seed_everything"),
        ("seed_everything: 10000000000", "seed_everything"),
        ("username: [Aaron]", "username"),
        ("total_timesteps: many", "total_timesteps"),
        ("total_timesteps: 1.5", "total_timesteps"),
        ("total_timesteps: 1.0e+6", "total_timesteps: Expected int. Got value: 1000000.0 (write 1000000)"),
        ("device: null", "device"),
        ("model: {clip: null}", "model.clip: Expected float. Got value: None"),
        ("evaluation: {games: null}", "evaluation.games"),
        ("data: {act_on: null}", "data.act_on"),
        ("device: 5", "device"),
        ("logdir: 5", "logdir"),
        ("save_interval: null", "save_interval: Expected int. Got value: None"),
        ("exact_resume: 3", "exact_resume"),
        ("model: {learning_rate: fast}", "model.learning_rate"),
        ("model: {hidden_sizes: 8}", "model.hidden_sizes"),
        ("model: 5", "model"),
        ("model: []", "model"),
        ("data: {num_envs: 2.5}", "data.num_envs"),
        ("data: {rewards: 5}", "data.rewards"),
        ("data: {total_timesteps: 5}", "data.total_timesteps"),
        ("data: 5", "data"),
        ("data: null", "data"),
        ("model: {step_seconds: 0.5}", "model.step_seconds is not a setting; it follows from others"),
        ("reward_ledger: null", "reward_ledger must hold settings, not None"),
        ("curriculum: null", "curriculum"),
        ("checkpoint: soon", "checkpoint"),
        ("throughput: 30", "throughput"),
        ("trainer: null", "trainer"),
        ("curriculum: {stages: 1v1}", "curriculum.stages"),
        ("curriculum: {pool: null}", "curriculum.pool: must hold settings"),
        ("curriculum: {pool: true}", "curriculum.pool: must hold settings"),
        ("curriculum: {pool: {guests: null}}", "curriculum.pool.guests: Expected list"),
        (
            "curriculum: {stages: [{mode: 1v1, opponent: nobody}]}",
            "] curriculum.stages.opponent: Expected a typing.Literal",
        ),
        (
            "curriculum: {stages: [{opponent: selfplay}]}",
            "] curriculum.stages: the following arguments are required: mode",
        ),
        (
            "curriculum: {stages: [{mode: 1v1, until: {win_rate: 0.6}}, {mode: 2v2}]}",
            "] curriculum.stages.until.win_rate: Expected dict. Got value: 0.6\n",
        ),
        ("curriculum: {stages: [{mode: 1v1, until: {goals: 5}}]}", "] curriculum.stages.until: Option 'goals' is not"),
        ("evaluation: {game: 5}", "evaluation.game is not a setting; did you mean evaluation.games?"),
        ("checkpoint: {interval: often}", "checkpoint.interval"),
        ("throughput: {print_seconds: soon}", "throughput.print_seconds"),
        ("trainer: {precision: 17-mixed}", "trainer.precision"),
        ("trainer: {precision: bf16-true}", "trainer.precision"),
        ("trainer: {callbacks: 5}", "trainer.callbacks"),
        ("data: {rewards: [{class_path: rlbot.game.rewards.Nope}]}", "no attribute 'Nope'"),
        (
            "data: {rewards: [{class_path: rlbot.game.rewards.Goal, init_args: {weight: null}}]}",
            "data.rewards.weight: Expected",
        ),
        (
            "data: {rewards: [5]}",
            "] data.rewards: Not a valid subclass of Reward. Got value: 5: a part is written {class_path",
        ),
        ("data: {rewards: [{class_path: [x]}]}", "] data.rewards: a part is written {class_path"),
        (
            "data: {endings: [{class_path: rlbot.game.endings.Clock, init_args: 5}]}",
            "] data.endings: a part is written {class_path",
        ),
        ("data: {rewards: [{class_path: rlbot.game.endings.Clock}]}", "rlbot.game.endings.Clock"),
        ("data: {rewards: [{class_path: rlbot.game.rewards.Goal, init_args: {wieght: 1}}]}", "wieght"),
    ],
)
def test_setting_of_a_wrong_type_is_named(fit, tmp_path, text, name):
    refuses(fit(tmp_path, edited(tmp_path, text)), name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("total_timesteps: 0", "total_timesteps=0"),
        ("save_interval: 0", "save_interval=0"),
        ("data: {num_envs: 0}", "num_envs=0"),
        ("data: {minibatch_size: 65}", "minibatch_size=65"),
        ("data: {tick_skip: -1}", "tick_skip=-1"),
        ("data: {anneal_timesteps: 0}", "anneal_timesteps=0"),
        ("data: {starts: []}", "starts"),
        ("data: {rewards: []}", "rewards=[]"),
        (
            "data: {rewards: [{class_path: rlbot.game.rewards.Goal, init_args: {weight_end: .inf}}]}",
            "] Goal.weight_end=inf must be finite\n",
        ),
        (
            "data: {starts: [{class_path: rlbot.game.starts.RandomStart, init_args: {ball_speed: -5}}]}",
            "] RandomStart.ball_speed=-5.0 must be 0 to 6000\n",
        ),
        ("data: {starts: [{class_path: rlbot.game.starts.NearBall, init_args: {farthest: 10}}]}", "farthest=10.0 must"),
        ("data: {endings: [{class_path: rlbot.game.endings.Clock, init_args: {seconds: .nan}}]}", "Clock.seconds=nan"),
        ("model: {entropy: .inf}", "entropy=inf"),
        ("trainer: {gradient_clip_val: -1}", "trainer.gradient_clip_val=-1"),
        ("evaluation: {match_seconds: .inf}", "match_seconds=inf"),
        ("data: {rewards: [rlbot.game.rewards.Goal, rlbot.game.rewards.Goal]}", "rewards"),
        ("data: {starts: [{class_path: rlbot.game.starts.Kickoff, init_args: {weight: 0}}]}", "starts"),
        ("data: {endings: [{class_path: rlbot.game.endings.Clock, init_args: {seconds: 0}}]}", "Clock.seconds=0"),
        ("model: {gamma: 1.5}", "gamma=1.5"),
        ("model: {gamma: 0.99}", "half_life=4.6 and gamma=0.99"),
        ("model: {half_life: null}", "half_life=None and gamma=None"),
        ("model: {half_life: 0}", "half_life=0.0"),
        ("model: {clip: .nan}", "clip"),
        ("model: {learning_rate: .inf}", "learning_rate"),
        ("model: {hidden_sizes: [8, 0]}", "hidden_sizes=[8, 0]"),
        (
            "model: {symmetry: null, close_up: false, head: {class_path: rlbot.ppo.policy.CategoricalHead, init_args: "
            "{num_actions: 5}}}",
            "model.head",
        ),
        (
            "model: {head: {class_path: rlbot.ppo.policy.CategoricalHead, init_args: {num_actions: 9}}}",
            "canonical (null for",
        ),
        ("checkpoint: {keep: 1}", "keep=1"),
        ("curriculum: {pool: {num_opponents: 0}}", "num_opponents=0"),
        ("curriculum: {stages: [{mode: 1v1, pool_share: 1}]}", "pool_share=1"),
        ("evaluation: {games: 3}", "games=3"),
        ("evaluation: {anchors: [nobody]}", "] evaluation.anchors: opponent='nobody'"),
        ("curriculum: {pool: {guests: [nobody]}}", "] curriculum.pool.guests: opponent='nobody'"),
        ("curriculum: {stages: [{mode: 3v3}]}", "only 1v1, 1v2, 2v2"),
        ("trainer: {max_epochs: -5}", "max_epochs"),
        ("trainer: {devices: 0}", "devices=0"),
        ("logdir: ''", "logdir"),
        ("logdir: .", "logdir"),
    ],
)
def test_setting_out_of_range_is_named(fit, tmp_path, monkeypatch, text, name):
    monkeypatch.chdir(tmp_path)
    arguments = [edited(tmp_path, text)] if "logdir" not in text else [f"--logdir={yaml.safe_load(text)['logdir']}"]
    refuses(fit(tmp_path, *arguments), name)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("data:\n  num_envs: 4\n  num_envs: 8\n", "line 3: duplicate key 'num_envs'"),
        ("model: {}\ndata: {}\nmodel: {}\n", "line 3: duplicate key 'model'"),
        ("data: {num_envs: 4\n", "line 2"),
        ("data:\n\tnum_envs: 4\n", "line 2"),
        ("data: num_envs: 4\n", "line 1"),
        ("- data\n", "holds no settings"),
        ("# nothing\n", "holds no settings"),
        ("a: 1\n---\nb: 2\n", "line 2"),
        ("data: !!python/object/apply:os.getcwd []\n", "line 1"),
        ("a: \x00\n", "edit.yaml"),
        ("[1, 2]: 3\n", "line 1"),
        ("username: 2024-13-45\n", "edit.yaml"),
    ],
)
def test_malformed_yaml_is_named_with_its_line(fit, tmp_path, text, where):
    refuses(fit(tmp_path, edited(tmp_path, text)), "edit.yaml", where)


@pytest.mark.parametrize("where", ["curriculum: {pool: {guests: ['{}']}}", "evaluation: {anchors: ['{}']}"])
def test_an_opponent_in_the_runs_own_folder_is_refused(fit, tmp_path, where):
    """The next save is another bot, under the same name."""
    file = fit(tmp_path, "--timesteps=64").logdir / "checkpoints" / "last.ckpt"
    run = fit(tmp_path, edited(tmp_path, where.replace("{}", str(file))))
    refuses(run, f"{file} lies in the run's own folder", "copy it elsewhere first")
    assert file.is_file()


def test_home_folder_may_be_written_as_a_tilde(fit, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert fit(tmp_path, "--logdir=~/bots/one", "--timesteps=64").code == 0
    assert {"config.yaml", "checkpoints"} <= {file.name for file in (tmp_path / "home" / "bots" / "one").iterdir()}
    assert not (tmp_path / "~").exists()


def test_yaml_that_is_not_there_or_not_utf8_is_named(fit, tmp_path):
    refuses(fit(tmp_path, "--config=nowhere.yaml"), "config=nowhere.yaml")
    (tmp_path / "latin.yaml").write_bytes("username: Zo\u00eb".encode("latin-1"))
    refuses(fit(tmp_path, f"--config={tmp_path / 'latin.yaml'}"), "latin.yaml")


@pytest.mark.parametrize("word", ["--bogus", "--bogus=1", "--data.bogus=1", "bogus", "--config"])
def test_unknown_argument_is_named(fit, tmp_path, word):
    refuses(fit(tmp_path, word), word.removeprefix("--").partition("=")[0])


JUNK = [
    None,
    0,
    -1,
    2,
    1.5,
    10**12,
    float("nan"),
    float("inf"),
    "",
    "x",
    "null",
    [],
    [1],
    [None],
    {},
    {"x": 1},
    True,
    False,
]
JUNK += [{"class_path": 1}, {"class_path": "rlbot.game.rewards.Goal", "init_args": 1}, ["../.."]]


def places(node, *way):
    """Every key and every place in a list, by the way to it."""
    for key, inner in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield (*way, key)
        yield from places(inner, *way, key)


def test_generated_configurations_are_taken_or_refused_in_one_line(fit, tmp_path):
    """A folder below a file ends each run that gets as far as training."""
    (tmp_path / "file").touch()
    draw, base = random.Random(0).choice, Path(BASE).read_text(encoding="utf-8")
    everywhere = list(places(yaml.safe_load(base)))
    for _ in range(50):
        part = settings = yaml.safe_load(base)
        *way, last = draw(everywhere)
        for key in way:
            part = part[key]
        part[last] = draw(JUNK)
        refuses(fit(tmp_path, edited(tmp_path, yaml.safe_dump(settings)), f"--logdir={tmp_path / 'file' / 'run'}"))


def test_another_environment_is_given_as_a_whole(fit, tmp_path):
    refuses(
        fit(tmp_path, "--data.env.init_args.num_envs=2"), "--data.env.init_args.num_envs: data.env is given as a whole"
    )
    lacks = "data: {env: {class_path: rlbot.ppo.rlgym.RLGymArenas}}"
    refuses(fit(tmp_path, edited(tmp_path, lacks)), "data.env: the following arguments are required: make")


def test_curriculum_needs_rocket_league(fit, tmp_path):
    cartpole = "data: {env: {class_path: gymnasium.make_vec, init_args: {id: CartPole-v1, num_envs: 2}}}"
    plain = f"{cartpole}\nmodel: {{symmetry: null, close_up: false}}"
    refuses(fit(tmp_path, edited(tmp_path, plain)), "half_life=4.6 (data.env knows no seconds")
    without_seconds = f"{cartpole}\nmodel: {{half_life: null, gamma: 0.99, symmetry: null, close_up: false}}"
    refuses(fit(tmp_path, edited(tmp_path, without_seconds)), "model.head TableHead")


def test_help_explains_settings_in_ascii(fit, tmp_path):
    run = fit(tmp_path, "--help")
    assert (run.code, run.out.isascii()) == (0, True)
    assert "--timesteps" in run.out
    assert "4.6 s is a discount of 0.99" in " ".join(run.out.split())
